"""kohya sd-scripts: a caption file beside each image, with the image's name."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Final

from airflow_midjourney.describe.exports.format import ExportFormat, Names
from airflow_midjourney.describe.exports.selection import Prompt
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.exports.format import Files, Sample
    from airflow_midjourney.describe.exports.selection import Choice
    from airflow_midjourney.describe.exports.splits import Splits

#: What the trainer reads without further packages; it looks for these endings in small or in capital letters.
_READ: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})

_EXTENSION: Final = re.compile(r"\.[A-Za-z0-9_]{1,16}")


@dataclass(frozen=True)
class Format(ExportFormat):
    """One caption file per image, UTF-8, never empty.

    :param extension: the caption files' ending; the trainer has to be told with ``--caption_extension``, since its
        own default is ``.caption``.
    :param wildcard: True for a trainer with ``--enable_wildcard``: each prompt is a line, of which it takes one at
        random, and braces are doubled because single ones mean a choice. False: one line, braces as they are.
    """

    extension: str = ".txt"
    wildcard: bool = False

    names: ClassVar[Names] = Names.PATH_WITHOUT_ENDING

    def __post_init__(self) -> None:
        if not _EXTENSION.fullmatch(str(self.extension)) or self.extension.lower() in DEFAULT_SUFFIXES:
            raise SettingsError(f"format_options: extension must be like '.txt' or '.caption', not {self.extension!r}.")
        if not isinstance(self.wildcard, bool):
            raise SettingsError(f"format_options: wildcard must be True or False, not {self.wildcard!r}.")

    def check(self, choice: Choice, splits: Splits) -> None:
        """Refuse several prompts where the trainer would read the first line only."""
        super().check(choice, splits)
        if choice.prompt is Prompt.ALL and not self.wildcard:
            raise SettingsError(
                "prompt='all' writes one line per prompt, of which kohya's trainers read the first only. Say"
                " format_options={'wildcard': True} and train with --enable_wildcard, or take prompt='first'."
            )

    def takes(self, file_name: str) -> bool:
        """Say whether the trainer finds an image with this ending: ``.Jpg`` it does not."""
        ending = PurePosixPath(file_name).suffix
        return ending.lower() in _READ and ending in (ending.lower(), ending.upper())

    def files_of(self, file_name: str) -> tuple[str, ...]:
        """Name the image and its caption file."""
        return (file_name, self._caption_file(file_name))

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Write one file per image."""

        def write(sample: Sample) -> None:
            files.put(self._caption_file(self.image_path(sample)), self.text(sample.captions).encode())

        yield write

    def _caption_file(self, path: str) -> str:
        return str(PurePosixPath(path).with_suffix(self.extension))

    def text(self, captions: tuple[str, ...]) -> str:
        """Give what a caption file says."""
        lines = captions if self.wildcard else captions[:1]
        return "".join(f"{doubled(line) if self.wildcard else line}\n" for line in lines)


def doubled(line: str) -> str:
    """Write braces so that the trainer's wildcards leave them alone."""
    return line.replace("{", "{{").replace("}", "}}")
