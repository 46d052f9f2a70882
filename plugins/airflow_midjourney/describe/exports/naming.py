"""File names made of keys: readable, safe on every system, never outside the target, and different for different keys.

What is unsafe is written as ``%XX``, as in URLs, ``%`` itself too; so two keys never become one name, and
``urllib.parse.unquote`` gives the key back. Only what is too long for a file system is cut, and then bears a digest.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.queries.rows import DescribedImage

_SAFE: Final = frozenset(" -_.()+,=@&'")
# Also with a blank before the ending, and with the small digits that older character sets have.
_WINDOWS: Final = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\..*)?", re.IGNORECASE)

#: Bytes of one part of a path, and of a whole path, that every file system and S3 can hold beside a prefix.
_LONGEST_PART: Final = 200
_LONGEST_PATH: Final = 600

_SUFFIXES: Final = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/heif": ".heif",
}


def common_folder(scope: Scope) -> str:
    """Give the folder that all keys of a scope share, with its slash: names are relative to it.

    It follows from the scope alone, so that the same image has the same name however many there are.
    """
    starts = scope.keys or scope.prefixes
    first, last = min(starts), max(starts)
    pairs = enumerate(zip(first, last, strict=False))
    shared = next((at for at, (one, other) in pairs if one != other), min(len(first), len(last)))
    return first[: first.rfind("/", 0, shared) + 1]


def file_name(image: DescribedImage, folder: str) -> str:
    """Give the path of an image's file below the target, with slashes.

    A key whose ending is none of an image gets the one of its format, since trainers go by endings.

    :param folder: what the scope's keys begin with.
    """
    path = "/".join(_safe_part(part) for part in image.key.removeprefix(folder).split("/"))
    ending = PurePosixPath(path).suffix
    added = "" if ending.lower() in DEFAULT_SUFFIXES else _SUFFIXES.get(image.media_type or "", "")
    if len((path + added).encode()) > _LONGEST_PATH:
        path = f"%~{_digest(image.key, 32)}{ending if not added and len(ending) <= 8 else ''}"
    return path + added


def sameness(name: str) -> str:
    """Give what two names have in common if some file system takes them for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def escaped(text: str) -> str:
    """Write a text as ``%XX`` throughout."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _safe_part(part: str) -> str:
    """Make one part of a path safe: no dots that lead out, no hidden file, nothing that a shell or a glob reads."""
    if not part:
        return "%"
    safe = "".join(char if _is_safe(char) else escaped(char) for char in part)
    if safe[0] in ". " or safe.startswith("__") or _WINDOWS.fullmatch(safe):
        safe = escaped(safe[0]) + safe[1:]
    if safe[-1] in ". ":
        safe = safe[:-1] + escaped(safe[-1])
    if len(safe.encode()) <= _LONGEST_PART:
        return safe
    ending = PurePosixPath(safe).suffix
    ending = ending if len(ending.encode()) <= 8 else ""
    start = safe.encode()[: _LONGEST_PART - 50].decode("utf-8", "ignore")
    return f"{start}%~{_digest(part, 16)}{ending}"


def _is_safe(char: str) -> bool:
    return char in _SAFE or char.isalnum() or unicodedata.category(char).startswith("M")


def _digest(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:digits]
