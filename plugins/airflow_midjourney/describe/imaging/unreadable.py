"""A file that cannot be read: is it damaged, or is it whole and of a kind that the reader does not know?

A person can do something about the second: save it anew.
"""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING, Final

from PIL import TiffImagePlugin

from airflow_midjourney.describe.imaging import formats

if TYPE_CHECKING:
    from airflow_midjourney.describe.imaging.formats import ImageFormat

#: How readers say that they do not know a kind of file.
_NOT_KNOWN: Final = re.compile(
    r"unsupported|not supported|not implemented|unknown (?:pixel|raw) mode|decoder \S+ not available", re.IGNORECASE
)

#: Frames of JPEGs that readers know: baseline, extended and progressive, of eight bits.
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_JPEG_FRAME: Final = re.compile(rb"\xff([\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf])..(.)", re.DOTALL)

#: Where a bitmap says how it is compressed, and what readers know: none, two run lengths, two kinds of bit fields.
_BMP_COMPRESSION: Final = slice(30, 34)
_BMP_KNOWN: Final = frozenset({0, 1, 2, 3, 6})
_BMP_SHORT_HEADERS: Final = frozenset({12, 16})

#: Tags of a TIFF: where its strips or tiles are, and how long.
_TIFF_PIECES: Final = ((273, 279), (324, 325))


def is_whole_but_unknown(body: bytes, image_format: ImageFormat, error: Exception) -> bool:
    """Say whether a file that could not be read has all of its parts.

    :param body: the whole file.
    :param image_format: what it is by its first bytes.
    :param error: what its reader raised.
    """
    if _NOT_KNOWN.search(str(error)):
        return True
    if image_format is formats.JPEG:
        frame = _JPEG_FRAME.search(body)
        return frame is not None and (frame[1][0] not in _JPEG_FRAMES or frame[2] != b"\x08")
    if image_format is formats.BMP:
        is_long = int.from_bytes(body[14:18], "little") not in _BMP_SHORT_HEADERS
        return is_long and int.from_bytes(body[_BMP_COMPRESSION], "little") not in _BMP_KNOWN
    return image_format is formats.TIFF and _has_all_pieces(body)


def _has_all_pieces(body: bytes) -> bool:
    try:
        is_big = b"+" in body[2:4]
        directory = TiffImagePlugin.ImageFileDirectory_v2(body[: 16 if is_big else 8])
        file = BytesIO(body)
        file.seek(directory.next)
        directory.load(file)
        for where, length in _TIFF_PIECES:
            if where in directory and length in directory:
                ends = [at + size for at, size in zip(directory[where], directory[length], strict=True)]
                return bool(ends) and max(ends) <= len(body)
    except Exception:  # noqa: BLE001 - a directory that cannot be read is damage
        return False
    return False
