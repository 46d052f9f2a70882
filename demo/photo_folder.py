"""A folder of the user's own: its files, and the keys under which S3 shows them."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES
from demo.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_IN_A_BUCKET: Final = re.compile(r"[^a-z0-9]+")


class PhotosError(Exception):
    """The folder cannot be described; the message is for the user."""


@dataclass(frozen=True, slots=True)
class PhotoFile:
    """One file.

    :param name: its path in the folder, with slashes.
    """

    name: str
    path: Path
    size: int
    modified_ns: int

    @property
    def etag(self) -> str:
        """Another one for other content, as far as size and time tell; opaque to readers, as S3 allows."""
        return hashlib.sha256(f"{self.size} {self.modified_ns}".encode()).hexdigest()[:32]

    @property
    def is_picture(self) -> bool:
        """Whether its name ends as a picture's does."""
        return Path(self.name).suffix.lower() in DEFAULT_SUFFIXES


@dataclass(slots=True)
class Contents:
    """All files of a folder and of the folders in it, in the order of S3's keys.

    :param linked_folders: symbolic links to folders, which are not followed: they may lead in a circle.
    :param closed_folders: folders that may not be read.
    :param left_out: files whose names are no text, broken links, pipes and the like.
    """

    files: list[PhotoFile] = field(default_factory=list)
    linked_folders: int = 0
    closed_folders: int = 0
    left_out: list[str] = field(default_factory=list)

    @property
    def pictures(self) -> int:
        """How many of the files look like pictures."""
        return sum(file.is_picture for file in self.files)

    def lines(self) -> Iterator[str]:
        """Count the files, and all that is passed over."""
        yield f"{self.pictures:,} pictures among {len(self.files):,} files"
        if self.linked_folders:
            yield f"links to folders, which are not followed: {self.linked_folders:,}"
        if self.closed_folders:
            yield f"folders that may not be read: {self.closed_folders:,}"
        if self.left_out:
            named = min(self.left_out)
            shown = named if named.isprintable() else ascii(named)
            yield f"broken links, and names that are no text, passed over: {len(self.left_out):,}, such as {shown}"


@dataclass(frozen=True, slots=True)
class PhotoFolder:
    """A folder of pictures, read where it is. Hidden files and folders, such as thumbnails, are no part of it.

    :param path: absolute.
    """

    path: Path

    @property
    def pictures(self) -> Pictures:
        """Where S3 shows it: in a bucket of its own, by the folder's name and a digest of its path."""
        readable = _NOT_IN_A_BUCKET.sub("-", self.path.name.lower()).strip("-")[:40].strip("-")
        digest = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:10]
        return Pictures("-".join(filter(None, (readable, digest))), f"{self.path.name}/")

    def contents(self) -> Contents:
        """Look at all of it now."""
        contents = Contents()
        self._walk(self.path, "", contents)
        contents.files.sort(key=lambda file: file.name.encode())
        return contents

    def find(self, name: str) -> PhotoFile | None:
        """Find one file by its path in the folder; None if there is none."""
        parts = name.split("/")
        if any(part.startswith(".") or not part for part in parts) or "\0" in name:
            return None
        return _file(name, self.path.joinpath(*parts))

    def _walk(self, folder: Path, above: str, contents: Contents) -> None:
        try:
            entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
        except OSError:
            contents.closed_folders += 1
            return
        for entry in entries:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                self._walk(Path(entry.path), f"{name}/", contents)
            elif entry.is_dir():
                contents.linked_folders += 1
            elif (file := _file(name, Path(entry.path))) is not None:
                contents.files.append(file)
            else:
                contents.left_out.append(name)


def open_photos(given: str) -> PhotoFolder:
    """Find the folder that a user named.

    :raises PhotosError: if there is none, or no picture in it.
    """
    if not given.strip():
        raise PhotosError("PHOTOS is empty: name a folder, as in make demo PHOTOS=~/pictures.")
    path = Path(given).expanduser().absolute()
    if not path.exists():
        raise PhotosError(f"There is no folder {path}.")
    if not path.is_dir():
        raise PhotosError(f"{path} is no folder: give PHOTOS the folder that it is in.")
    path = path.resolve()
    if not path.name:
        raise PhotosError("PHOTOS=/ is the whole machine: name a folder in it.")
    try:
        path.name.encode()
        os.scandir(path).close()
    except UnicodeEncodeError:
        raise PhotosError(f"The name of {given!r} is no text that S3 can hold: give the folder another one.") from None
    except OSError as error:
        raise PhotosError(f"{path} cannot be read: {error.strerror or error}.") from None
    photos = PhotoFolder(path)
    contents = photos.contents()
    if not contents.pictures:
        endings = ", ".join(sorted(DEFAULT_SUFFIXES))
        found = f"none of its {len(contents.files):,} files ends in {endings}" if contents.files else "it is empty"
        raise PhotosError(f"{path} has no pictures: {found}.")
    return photos


def _file(name: str, path: Path) -> PhotoFile | None:
    try:
        name.encode()
        status = path.stat()
    except (OSError, UnicodeEncodeError):
        return None
    if not path.is_file():
        return None
    return PhotoFile(name, path, status.st_size, status.st_mtime_ns)
