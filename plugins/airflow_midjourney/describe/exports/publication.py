"""Publishing an export whole: a new version in a folder of its own, and a pointer that is switched last.

::

    target/
        <name>-1/ …       the version before: whole, as it was
        <name>-2/ …       the new one
        latest.json       which of them is the latest, with its counts; switched from one moment to the next
        latest -> …       the same as a link, in a local folder

A writer that is killed leaves the pointer where it was. Its next try writes into the same folder again, so it completes
it; a folder that the pointer has ever named is not touched any more, until it is too old and deleted.
"""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Protocol

from airflow_midjourney.describe.exports.seen import Seen, open_seen
from airflow_midjourney.describe.model.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from typing import BinaryIO

    from airflow_midjourney.describe.exports.targets.target import Target

#: The pointer's file and link.
POINTER: Final = "latest.json"
LINK: Final = "latest"

#: Nothing else is ever deleted.
_FOLDER: Final = re.compile(r"[A-Za-z0-9_]{1,64}-[0-9]{1,9}")


class Publication(Protocol):
    """An export that is being written, and where it will be read."""

    @property
    def location(self) -> str:
        """The path or URI of the folder, or of the one file."""

    def put(self, name: str, body: bytes) -> None:
        """Write a small file."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file of any length."""


@dataclass
class _Version:
    """A version that is being written: a folder of the target."""

    target: Target
    folder: str
    written: Seen
    location: str = field(init=False)
    files: int = 0

    def __post_init__(self) -> None:
        self.location = self.target.location(self.folder)

    def put(self, name: str, body: bytes) -> None:
        """Write a small file of this version."""
        self._note(name)
        self.target.put(f"{self.folder}/{name}", body)

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Write a file of any length of this version."""
        self._note(name)
        return self.target.open(f"{self.folder}/{name}")

    def left_over(self) -> Iterator[str]:
        """Name files of a try that was killed, which this one has not written again."""
        for name in self.target.names(self.folder):
            if not self.written.holds("file", name.removeprefix(f"{self.folder}/")):
                yield name

    def _note(self, name: str) -> None:
        self.files += self.written.take("file", name) is None


@contextmanager
def publishing(target: Target, name: str, keep: int, summary: Callable[[], Mapping[str, Any]]) -> Iterator[Publication]:
    """Write a new version in the block, and publish it when the block has ended well.

    :param name: of the writer, the same for each try, and another one for every other writer to the target.
    :param keep: how many versions are kept, at least 1; older ones are deleted once the new one is published.
    :param summary: asked at the end for what ``latest.json`` says besides.
    :raises StorageError: if the target refuses something, or its pointer is not ours.
    """
    pointer = _read_pointer(target)
    known = (*pointer.versions, *pointer.obsolete)
    folder = next(free for number in count(1) if (free := f"{name}-{number}") not in known)
    begun_before = next(target.names(folder), None) is not None
    with open_seen() as written:
        version = _Version(target, folder, written)
        yield version
        target.flush()
        if begun_before:
            target.delete(version.left_over())
        versions = (folder, *pointer.versions)
        following = _Pointer(versions[:keep], (*versions[keep:], *pointer.obsolete))
        with target.open(POINTER) as file:
            file.write(following.to_bytes({**summary(), "version": folder, "files": version.files}))
    target.point(LINK, folder)
    for old in following.obsolete:
        target.delete(target.names(old))


@contextmanager
def publishing_file(target: Target, name: str) -> Iterator[Publication]:
    """Write one file in the block, whatever the format calls it; it is there when the block has ended well."""
    yield _OneFile(target, name, target.location(name))


@dataclass(frozen=True)
class _OneFile:
    target: Target
    name: str
    location: str

    def put(self, name: str, body: bytes) -> None:
        raise NotImplementedError(f"{name}: a format of one file writes no others")

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        return self.target.open(self.name)


@dataclass(frozen=True, slots=True)
class _Pointer:
    """What ``latest.json`` says about folders.

    :param versions: whole ones that are kept, the latest first.
    :param obsolete: versions that are being deleted, or were.
    """

    versions: tuple[str, ...] = ()
    obsolete: tuple[str, ...] = ()

    def to_bytes(self, summary: Mapping[str, Any]) -> bytes:
        facts = {**summary, "versions": self.versions, "obsolete": self.obsolete}
        return json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _read_pointer(target: Target) -> _Pointer:
    """Read the pointer, if there is one.

    :raises StorageError: if something else bears its name.
    """
    body = target.read(POINTER)
    if body is None:
        return _Pointer()
    try:
        found = json.loads(body)
        versions, obsolete = tuple(found["versions"]), tuple(found["obsolete"])
        if not all(_FOLDER.fullmatch(name) for name in (*versions, *obsolete)):
            raise ValueError("not a name of a version")
    except (ValueError, KeyError, TypeError):
        raise StorageError(
            f"{target.location(POINTER)!r} is not what an export wrote. Give the export another target, or move that"
            " file away."
        ) from None
    return _Pointer(versions, tuple(name for name in obsolete if next(target.names(name), None)))
