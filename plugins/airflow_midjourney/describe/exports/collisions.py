"""Two keys that some disk would put into one file, or one as a file where the other needs a folder."""

from __future__ import annotations

import hashlib
import unicodedata
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from airflow_midjourney.describe.exports.format import Names
from airflow_midjourney.describe.exports.naming import sameness
from airflow_midjourney.describe.model.choices import read_member
from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from airflow_midjourney.describe.exports.format import ExportFormat
    from airflow_midjourney.describe.exports.seen import Seen


class OnCollision(StrEnum):
    """What becomes of an image whose name another one has already."""

    ERROR = "error"
    RENAME = "rename"


def read_on_collision(value: str) -> OnCollision:
    """Read what to do about names that collide.

    :raises SettingsError: if it is none of the known ways.
    """
    return read_member(OnCollision, "on_collision", value)


class FileNames:
    """Gives each image of an export a name that no other has, at the latest on a disk that knows no capital letters.

    :param seen: remembers which key took which file and folder.
    """

    def __init__(self, seen: Seen, kind: ExportFormat, on_collision: OnCollision) -> None:
        self._seen = seen
        self._kind = kind
        self._on_collision = on_collision
        # Keys come in order, so most images lie in the folder of the one before.
        self._last = ("", "", "")

    def take(self, split: str, name: str, uri: str) -> str:
        """Take a name, or another one in its place.

        Rows come in the order of their keys, so the same rows have the same names in every export.

        :return: the name that was taken.
        :raises SettingsError: if it is taken and must not be changed; it names both keys.
        """
        free = self._with_free_folders(split, name, uri)
        taker = self._taker(split, free, uri)
        if taker is not None:
            self._refuse(shared_part(self._kind, free), taker, uri)
            free = _renamed(free, uri)
            self._taker(split, free, uri)
        for file in self._kind.files_of(free):
            self._seen.take("file", _place(split, file), uri)
        return free

    def _with_free_folders(self, split: str, name: str, uri: str) -> str:
        """Take the folders that a name lies in; one that is a file already gets another name for all that lie in it."""
        folder, slash, last = name.rpartition("/")
        if (split, folder) != self._last[:2]:
            self._last = (split, folder, self._free_folder(split, folder, uri))
        return f"{self._last[2]}{slash}{last}"

    def _free_folder(self, split: str, folder: str, uri: str) -> str:
        taken: list[str] = []
        for part in folder.split("/") if folder else ():
            path = "/".join((*taken, part))
            taker = self._seen.holder("file", _place(split, path))
            if taker is not None:
                self._refuse(path, taker, uri)
                part = f"{part}%~{_digest(path)}"
            taken.append(part)
            self._seen.take("folder", _place(split, "/".join(taken)), uri)
        return "/".join(taken)

    def _taker(self, split: str, name: str, uri: str) -> str | None:
        """Take a name, unless another image has it, or it is a folder; say which image has."""
        for file in self._kind.files_of(name):
            taker = self._seen.holder("folder", _place(split, file))
            if taker is not None:
                return taker
        return self._seen.take("name", _place(split, shared_part(self._kind, name)), uri)

    def _refuse(self, shared: str, taker: str, uri: str) -> None:
        if self._on_collision is OnCollision.RENAME:
            return
        one, other = _told_apart(taker, uri)
        raise SettingsError(
            f"{one} and {other} would share the file {shared!r} of the export. Say"
            " on_collision='rename' to give the second another name, export them to different targets (prefix= or"
            " keys=), or rename one of them; nothing was published.",
            image_uri=uri,
        )


def shared_part(kind: ExportFormat, name: str) -> str:
    """Give what no two images of a format may have in common of their names."""
    return str(PurePosixPath(name).with_suffix("")) if kind.names is Names.PATH_WITHOUT_ENDING else name


def _renamed(name: str, uri: str) -> str:
    # No key gives a name with "%~" and this digest: its own "%" would be written as "%25".
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}%~{_digest(uri)}{path.suffix}"))


def _place(split: str, path: str) -> str:
    return f"{split}/{sameness(path)}"


def _told_apart(one: str, other: str) -> tuple[str, str]:
    """Write two keys so that a reader sees the difference, accents written in two ways included."""
    if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
        return ascii(one), ascii(other)
    return repr(one), repr(other)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
