"""Hugging Face imagefolder: ``metadata.jsonl`` in the folder of each split, beside the images."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from airflow_midjourney.describe.exports.facts import facts_of
from airflow_midjourney.describe.exports.format import ExportFormat, Names
from airflow_midjourney.describe.exports.naming import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.format import Files, Sample

SPLITS: Final = ("train", "validation", "test")

#: Words that ``datasets`` takes for the name of a split wherever they stand in the path of a folder.
_KEYWORDS: Final = "training|train|validation|valid|dev|val|testing|test|evaluation|eval"  # longer ones first
_SPLIT_WORD: Final = re.compile(rf"(?<![^-._ 0-9])({_KEYWORDS})(?![^-._ 0-9])")

#: Endings that ``datasets`` reads as images; others are passed over, and their rows then lack an image.
_READ: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})


@dataclass(frozen=True)
class Format(ExportFormat):
    """``<split>/metadata.jsonl`` with ``file_name``, ``text`` and facts about the image.

    ``load_dataset("imagefolder", data_dir=…)`` joins each line with the image that it names.
    """

    names: ClassVar[Names] = Names.PATH
    known_splits: ClassVar[tuple[str, ...] | None] = SPLITS
    default_split: ClassVar[str] = "train"

    def takes(self, file_name: str) -> bool:
        """Say whether ``datasets`` reads a file with this ending."""
        return file_name.lower().endswith(tuple(_READ))

    def image_path(self, sample: Sample) -> str:
        """Give where the image goes, if it is copied along."""
        return f"{sample.split}/{visible_name(sample.file_name)}"

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Open the metadata of a split with its first image: ``datasets`` cannot read an empty one."""
        opened: dict[str, BinaryIO] = {}
        with ExitStack() as stack:

            def write(sample: Sample) -> None:
                if sample.split not in opened:
                    opened[sample.split] = stack.enter_context(files.open(f"{sample.split}/metadata.jsonl"))
                names = {"file_name": visible_name(sample.file_name), "text": sample.caption}
                line = json.dumps(names | facts_of(sample), ensure_ascii=False, separators=(",", ":"))
                opened[sample.split].write(f"{line}\n".encode())

            yield write


def visible_name(file_name: str) -> str:
    """Hide words from ``datasets`` that would put an image into another split: ``test/a.jpg`` in a folder ``train``.

    :return: the name with the first letter of such a word as ``%XX``.
    """
    *folders, last = file_name.split("/")
    return "/".join([*(_SPLIT_WORD.sub(_hidden, folder) for folder in folders), last])


def _hidden(word: re.Match[str]) -> str:
    return escaped(word[0][0]) + word[0][1:]
