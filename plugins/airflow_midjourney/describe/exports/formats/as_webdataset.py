"""WebDataset: tar files that are read from their beginning to their end, in which files of one name are one sample."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Final

from airflow_midjourney.describe.exports.facts import facts_of
from airflow_midjourney.describe.exports.format import ExportFormat, Names
from airflow_midjourney.describe.exports.naming import escaped
from airflow_midjourney.describe.exports.rolling import RollingFile
from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_midjourney.describe.exports.format import Files, Sample

#: Endings that ``webdataset`` decodes as images.
_READ: Final = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"})

_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True)
class Format(ExportFormat):
    """``<split>-000000.tar`` and so on; a sample is its image, ``.txt`` with the caption, and ``.json`` with facts.

    :param shard_samples: samples after which the next file begins.
    :param shard_megabytes: megabytes (of a million bytes) that no file exceeds, unless by its only sample.
    """

    shard_samples: int = 10_000
    shard_megabytes: int = 1000

    names: ClassVar[Names] = Names.PATH_WITHOUT_ENDING
    holds_images: ClassVar[bool] = True
    default_split: ClassVar[str] = "train"

    def __post_init__(self) -> None:
        for name, most in (("shard_samples", 1_000_000), ("shard_megabytes", 100_000)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise SettingsError(f"format_options: {name} must be 1 to {most:,}, not {value!r}.")

    def takes(self, file_name: str) -> bool:
        """Say whether ``webdataset`` decodes a file with this ending."""
        return PurePosixPath(file_name).suffix.lower() in _READ

    @contextmanager
    def open(self, files: Files, splits: tuple[str, ...]) -> Iterator[Callable[[Sample], None]]:
        """Open a split's first file with its first sample."""
        with ExitStack() as stack:
            shards = {split: stack.enter_context(self._shards(files, split)) for split in splits}
            writers = {split: _Writer(shards[split], self) for split in splits}
            yield lambda sample: writers[sample.split].add(_members(sample))

    @staticmethod
    def _shards(files: Files, split: str) -> RollingFile[tarfile.TarFile]:
        @contextmanager
        def open_tar(number: int) -> Iterator[tarfile.TarFile]:
            name = f"{split}-{number:06}.tar"
            with files.open(name) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield tar

        return RollingFile(open_tar)


class _Writer:
    """Adds samples to the file that is open, or to the next one when they would not fit."""

    def __init__(self, shards: RollingFile[tarfile.TarFile], limits: Format) -> None:
        self._shards = shards
        self._limits = limits
        self._tar: tarfile.TarFile | None = None
        self._samples = 0
        self._bytes = 0

    def add(self, members: Mapping[str, bytes]) -> None:
        sizes = [_padded(len(body)) for body in members.values()]
        full = self._samples == self._limits.shard_samples
        if self._tar is None or full or self._bytes + sum(sizes) > self._limits.shard_megabytes * _MEGABYTE:
            self._tar, self._samples, self._bytes = self._shards.following(), 0, 0
        for name, body in members.items():
            information = tarfile.TarInfo(name)
            information.size = len(body)
            self._tar.addfile(information, io.BytesIO(body))
        self._samples += 1
        self._bytes += sum(sizes)


def key_of(file_name: str) -> str:
    """Give what the files of a sample have in common.

    ``webdataset`` takes all after the first dot of the last part for the ending, so a dot before it is written as
    ``%2E``; folders may have dots.
    """
    path = PurePosixPath(file_name)
    return str(path.with_name(path.stem.replace(".", escaped("."))))


def _members(sample: Sample) -> dict[str, bytes]:
    key, ending = key_of(sample.file_name), PurePosixPath(sample.file_name).suffix.lower()
    facts = json.dumps(facts_of(sample), ensure_ascii=False, separators=(",", ":"))
    image = {} if sample.body is None else {f"{key}{ending}": sample.body}
    return {**image, f"{key}.txt": str(sample.caption).encode(), f"{key}.json": facts.encode()}


def _padded(size: int) -> int:
    """Give what a file of this size takes in a tar with its header; one with a long name takes a little more."""
    return tarfile.BLOCKSIZE + -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
