"""What a format is, and finding one by its name."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Protocol

from airflow_midjourney.describe.exports import formats
from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.selection import Choice
    from airflow_midjourney.describe.exports.splits import Splits
    from airflow_midjourney.describe.queries.rows import DescribedImage


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of an export.

    :param captions: the chosen prompts, the main one first; none only where the format takes images without prompts.
    :param split: the name of its split, empty where there are none.
    :param file_name: the path of its file, with slashes, unique within the split.
    :param number: counts from 0 within the split.
    :param body: the image, where images are copied along and the format's files hold them.
    :param caption_source: where the main prompt is from: ``prompt_1`` to ``prompt_4``, or ``edited`` by a reviewer.
    """

    image: DescribedImage
    captions: tuple[str, ...]
    split: str
    file_name: str
    number: int
    body: bytes | None = None
    caption_source: str | None = None

    @property
    def caption(self) -> str | None:
        """The main prompt."""
        return self.captions[0] if self.captions else None


class Files(Protocol):
    """Where a format writes to: names are paths with slashes, and whole files appear or none."""

    def put(self, name: str, body: bytes) -> None:
        """Write a small file."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file of any length, from its beginning to its end."""


class Names(Enum):
    """What has to be different between the images of a split."""

    NOTHING = "nothing"
    PATH = "path"
    PATH_WITHOUT_ENDING = "path without its ending"


class ExportFormat(ABC):
    """One way to write samples down. A subclass is a dataclass of its own options, named ``Format``.

    What it writes may depend on the samples and its options alone: the same rows give the same bytes.
    """

    #: Whether images without prompts are left out.
    needs_prompts: ClassVar[bool] = True

    #: The ending of its one file, where a split is one file.
    suffix: ClassVar[str | None] = None

    #: What images must not share.
    names: ClassVar[Names] = Names.NOTHING

    #: Whether the format's own files hold the images: a sample then brings its image, and no other file is written.
    holds_images: ClassVar[bool] = False

    #: Names that splits must have, where the readers of the format know no other.
    known_splits: ClassVar[tuple[str, ...] | None] = None

    #: The split of an export without splits.
    default_split: ClassVar[str] = ""

    def check(self, choice: Choice, splits: Splits) -> None:
        """Refuse what this format cannot say.

        :raises SettingsError: with what to change.
        """
        if self.known_splits and (unknown := set(splits.names) - {"", *self.known_splits}):
            raise SettingsError(
                f"splits: readers of this format know {', '.join(self.known_splits)}, not {', '.join(sorted(unknown))}."
            )

    def takes(self, file_name: str) -> bool:
        """Say whether the format's readers can read an image with this ending."""
        return True

    def image_path(self, sample: Sample) -> str:
        """Give where the image goes, if it is copied along."""
        return f"{sample.split}/{sample.file_name}" if sample.split else sample.file_name

    def files_of(self, file_name: str) -> tuple[str, ...]:
        """Name the files that an image of this name takes, so that no folder bears the same name."""
        return (file_name,)

    @abstractmethod
    def open(self, files: Files, splits: tuple[str, ...]) -> AbstractContextManager[Callable[[Sample], None]]:
        """Open what is to be written; the block gets samples one by one, in the order of their keys."""


def format_names() -> list[str]:
    """Name all formats."""
    return sorted(
        module.name.removeprefix("as_")
        for module in pkgutil.iter_modules(formats.__path__)
        if module.name.startswith("as_")
    )


def load_format(name: str, options: Mapping[str, object] | None = None) -> ExportFormat:
    """Find a format by its name and give it its options.

    :raises SettingsError: if there is no such format, or it has no such option, or it cannot be loaded here.
    """
    if name not in format_names():
        raise SettingsError(f"format must be one of {', '.join(format_names())}, not {name!r}.")
    module = importlib.import_module(f"{formats.__name__}.as_{name}")
    kind: type[ExportFormat] = module.Format
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    given = dict(options or {})
    if unknown := sorted(set(given) - set(known)):
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise SettingsError(f"format_options: {name} has no option {', '.join(unknown)}; {takes}.")
    return kind(**given)
