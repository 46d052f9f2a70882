"""JSONL for fine-tuning models that read images: each line is a conversation of a question and a caption."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar, Final

from airflow_midjourney.describe.exports.format import ExportFormat, Names
from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.exports.format import Files, Sample

#: Endings that Pillow opens, with which processors of such models read images.
_READ: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})

#: Where trainers that read plain text put the image.
_PLACEHOLDER: Final = "<image>"

#: What such trainers count, wherever it stands: a caption that has one asks for an image that the line has not.
_COUNTED: Final = re.compile(r"<(image|video|audio)>")


class Content(StrEnum):
    """How the text of a message says where the image stands."""

    PARTS = "parts"
    TEXT = "text"


class Reference(StrEnum):
    """How a line names its image."""

    FILE = "file"
    URI = "uri"


@dataclass(frozen=True)
class Format(ExportFormat):
    """One file per split with ``messages`` and ``images``; a line for each chosen prompt.

    :param question: what the user asks in each line.
    :param content: ``parts`` (Transformers, TRL) or ``text`` with ``<image>`` in it (LLaMA-Factory, ms-swift).
    :param reference: ``file``, relative to the export's folder, or ``uri``, as ``s3://…``.
    """

    question: str = "Describe this image."
    content: str = Content.PARTS.value
    reference: str = Reference.FILE.value

    suffix: ClassVar[str | None] = ".jsonl"
    names: ClassVar[Names] = Names.PATH

    def __post_init__(self) -> None:
        if not isinstance(self.question, str) or not self.question.strip() or _COUNTED.search(self.question):
            raise SettingsError(f"format_options: question must be text without {_PLACEHOLDER}, not {self.question!r}.")
        for name, known in (("content", Content), ("reference", Reference)):
            if getattr(self, name) not in list(known):
                raise SettingsError(
                    f"format_options: {name} must be one of {', '.join(known)}, not {getattr(self, name)!r}."
                )

    def takes(self, file_name: str) -> bool:
        """Say whether Pillow opens a file with this ending."""
        return PurePosixPath(file_name).suffix.lower() in _READ

    def image_path(self, sample: Sample) -> str:
        """Give where the image goes, if it is copied along."""
        return f"images/{super().image_path(sample)}"

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Open one file per split."""
        with ExitStack() as stack:
            opened = {split: stack.enter_context(files.open(f"{split or 'prompts'}.jsonl")) for split in splits}

            def write(sample: Sample) -> None:
                for caption in sample.captions:
                    line = json.dumps(self._line(sample, caption), ensure_ascii=False, separators=(",", ":"))
                    opened[sample.split].write(f"{line}\n".encode())

            yield write

    def _line(self, sample: Sample, caption: str) -> dict[str, Any]:
        named = sample.image.image_uri if self.reference == Reference.URI else self.image_path(sample)
        asked: object = [{"type": "image"}, {"type": "text", "text": self.question}]
        answered: object = [{"type": "text", "text": caption}]
        if self.content == Content.TEXT:
            asked, answered = f"{_PLACEHOLDER}{self.question}", _COUNTED.sub(r"\1", caption)
        messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        return {"messages": messages, "images": [named], "image_uri": sample.image.image_uri}
