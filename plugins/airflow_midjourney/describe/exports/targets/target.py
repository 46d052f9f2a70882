"""What a target can do, and which kind a text names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from typing import BinaryIO


class Target(Protocol):
    """A place for files, by names with slashes. No reader ever sees half of a file that :meth:`open` writes."""

    def location(self, name: str) -> str:
        """Give a path or URI by which readers find a file, or the place itself for an empty name."""

    def put(self, name: str, body: bytes) -> None:
        """Write a small file; it may come to pass later, at :meth:`flush` at the latest."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file of any length: it is there, whole, when the block has ended well, and else is as before."""

    def flush(self) -> None:
        """Wait until all that was put is stored for good.

        :raises DescribeError: if some of it could not be.
        """

    def read(self, name: str) -> bytes | None:
        """Read a small file; None if there is none."""

    def parts(self, name: str) -> Iterator[bytes]:
        """Read a file of any length, part by part.

        :raises SettingsError: if there is none.
        :raises StorageError: if S3 cannot be read; the subclass says why.
        """

    def names(self, below: str) -> Iterator[str]:
        """Name all files below a folder."""

    def delete(self, names: Iterable[str]) -> None:
        """Delete files; files that are gone already are fine."""

    def point(self, name: str, folder: str) -> None:
        """Let a name lead to a folder, where the place knows such a thing."""

    def close(self) -> None:
        """Give back what is held."""
