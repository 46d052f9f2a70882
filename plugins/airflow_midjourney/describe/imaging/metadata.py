"""PNG, JPEG, GIF and WebP files reduced to what their pixels need, without decoding them.

Each walker keeps what it knows to belong to the pixels, drops what it knows not to, and gives up on anything
else, so nothing it does not understand ever gets through: the caller then encodes the pixels anew.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: The chunks that a PNG is drawn from, and the most bytes that each may hold.
_PNG_CHUNKS: Final = {
    b"IHDR": 13,
    b"PLTE": 768,
    b"tRNS": 256,
    b"sBIT": 4,
    b"gAMA": 4,
    b"cHRM": 32,
    b"sRGB": 1,
    b"cICP": 4,
    b"IDAT": 2**31 - 1,
    b"IEND": 0,
}

_SOS: Final = 0xDA
_EOI: Final = 0xD9
_APP0: Final = 0xE0
_APP2: Final = 0xE2
_APP14: Final = 0xEE

#: Frame headers, tables, scans.
_JPEG_PIXEL_MARKERS: Final = frozenset(range(0xC0, 0xD0)) - {0xC8} | {_SOS, 0xDB, 0xDC, 0xDD}

#: APP0 to APP15 and comments.
_JPEG_EXTRA_MARKERS: Final = frozenset(range(0xE0, 0xF0)) | {0xFE}

#: A marker between scans: not a stuffed zero, a restart marker or a fill byte.
_JPEG_NEXT_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)

_WEBP_PIXEL_CHUNKS: Final = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_WEBP_GIVE_UP_CHUNKS: Final = frozenset({b"ICCP", b"ANIM", b"ANMF"})
_WEBP_EXIF_AND_XMP_FLAGS: Final = 0b0000_1100


class _NotUnderstoodError(Exception):
    """The file holds something that can neither be kept nor dropped without looking at the pixels."""


def pixels_only(body: bytes, media_type: str) -> bytes | None:
    """Drop EXIF, GPS, XMP, comments, texts, thumbnails, further pictures and all that follows the image.

    :param body: the whole file.
    :param media_type: ``image/png``, ``image/jpeg``, ``image/gif`` or ``image/webp``.
    :return: a file with the same pixels, ``body`` itself where nothing was to be dropped; None where that
        cannot be done: a colour profile, an animation, a damaged file, another media type.
    """
    walker = _WALKERS.get(media_type)
    if walker is None:
        return None
    try:
        return walker(body)
    except (_NotUnderstoodError, IndexError):
        return None


def _png(body: bytes) -> bytes:
    kept = [body[:8]]
    position = 8
    while True:
        length = int.from_bytes(_exactly(body, position, 4), "big")
        kind = _exactly(body, position + 4, 4)
        chunk = _exactly(body, position, 12 + length)
        if kind in _PNG_CHUNKS:
            if length > _PNG_CHUNKS[kind]:
                raise _NotUnderstoodError
            kept.append(chunk)
        elif kind == b"iCCP" or not kind[0] & 0x20:  # a lower-case first letter marks what may be left out
            raise _NotUnderstoodError
        position += len(chunk)
        if kind == b"IEND":
            return b"".join(kept)


def _jpeg(body: bytes) -> bytes:
    kept = [body[:2]]
    position = 2
    while True:
        if body[position] != 0xFF:
            raise _NotUnderstoodError
        marker = body[position + 1]
        if marker == _EOI:
            return b"".join([*kept, b"\xff\xd9"])
        segment = _exactly(body, position, 2 + int.from_bytes(_exactly(body, position + 2, 2), "big"))
        if len(segment) < 4:
            raise _NotUnderstoodError
        if _belongs_to_jpeg_pixels(marker, segment):
            kept.append(segment)
        position += len(segment)
        if marker == _SOS:
            following = _JPEG_NEXT_MARKER.search(body, position)
            if following is None:
                raise _NotUnderstoodError
            kept.append(body[position : following.start()])
            position = following.start()


def _belongs_to_jpeg_pixels(marker: int, segment: bytes) -> bool:
    if marker in _JPEG_PIXEL_MARKERS:
        return True
    if marker not in _JPEG_EXTRA_MARKERS or (marker == _APP2 and segment[4:16] == b"ICC_PROFILE\x00"):
        raise _NotUnderstoodError
    # These two say how colours are stored. Longer ones hold more than that, a thumbnail say.
    if marker == _APP0 and segment[4:9] == b"JFIF\x00":
        _require(len(segment) == 18)
        return True
    if marker == _APP14 and segment[4:9] == b"Adobe":
        _require(len(segment) == 16)
        return True
    return False


def _gif(body: bytes) -> bytes:
    position = 13 + _colour_table_bytes(body[10])
    kept = [_exactly(body, 0, position)]
    images = 0
    while body[position] != 0x3B:
        start = position
        if body[start] == 0x2C:
            images += 1
            position = _after_blocks(body, start + 11 + _colour_table_bytes(body[start + 9]))
            kept.append(body[start:position])
        elif body[start] == 0x21 and body[start + 1] in (0xF9, 0xFE, 0xFF):
            position = _after_blocks(body, start + 2)
            if body[start + 1] == 0xF9:
                _require(position - start == 8)
                kept.append(body[start:position])
        else:
            raise _NotUnderstoodError
    _require(images == 1)
    return b"".join([*kept, b"\x3b"])


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_blocks(body: bytes, position: int) -> int:
    while size := body[position]:
        position += 1 + size
    return position + 1


def _webp(body: bytes) -> bytes:
    riff = _exactly(body, 0, 8 + int.from_bytes(_exactly(body, 4, 4), "little"))
    kept = []
    position = 12
    while position < len(riff):
        length = int.from_bytes(_exactly(riff, position + 4, 4), "little")
        chunk = _exactly(riff, position, 8 + length + length % 2)
        kind = chunk[:4]
        if kind in _WEBP_GIVE_UP_CHUNKS:
            raise _NotUnderstoodError
        if kind == b"VP8X":
            _require(length == 10)
            kept.append(chunk[:8] + bytes([chunk[8] & ~_WEBP_EXIF_AND_XMP_FLAGS]) + chunk[9:])
        elif kind in _WEBP_PIXEL_CHUNKS:
            kept.append(chunk)
        position += len(chunk)
    content = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(content).to_bytes(4, "little") + content


def _exactly(body: bytes, start: int, length: int) -> bytes:
    part = body[start : start + length]
    _require(len(part) == length)
    return part


def _require(understood: bool) -> None:
    if not understood:
        raise _NotUnderstoodError


_WALKERS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "image/png": _png,
    "image/jpeg": _jpeg,
    "image/gif": _gif,
    "image/webp": _webp,
}
