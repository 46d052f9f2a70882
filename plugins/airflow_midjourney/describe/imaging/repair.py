"""Files that other viewers show although one part of them is broken, rewritten so that the reader takes them.

Readers fail on metadata that no viewer shows and on an end marker that is missing. Nothing here changes pixels: what is
rewritten is read to its end as any other file, and fails if pixels are missing.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.imaging import formats
from airflow_midjourney.describe.imaging.limits import check_cost
from airflow_midjourney.describe.imaging.metadata import pixels_only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.imaging.formats import ImageFormat

_PNG_METADATA: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME", b"dSIG"})
#: What a chunk has in its name if a reader may pass over it.
_PNG_ANCILLARY: Final = 0x20
#: Bytes of the chunks that a reader reads, and of the transparent colour by the kind of colours in the header.
_PNG_LENGTHS: Final = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9}
_PNG_TRANSPARENT: Final = {0: 2, 2: 6}
_PNG_COLOURS: Final = 25
_PNG_END: Final = b"\x00\x00\x00\x00IEND\xaeB`\x82"

#: Bytes of a colour profile that is still read; printers' tables are larger, and are passed over.
_LARGEST_PROFILE: Final = 900_000

_WEBP_METADATA: Final = frozenset({b"EXIF", b"XMP "})
_WEBP_METADATA_FLAGS: Final = 0b0000_1100
_WEBP_PROFILE_FLAG: Final = 0b0010_0000

_JPEG_END: Final = b"\xff\xd9"

#: Markers of a JPEG's metadata: APP1, APP3 to APP13, APP15, comments. The others say how its colours are meant.
_JPEG_METADATA: Final = frozenset(range(0xE1, 0xF0)) - {0xE2, 0xEE} | {0xFE}

#: An entry for an item of EXIF or XMP in the table of an AVIF or HEIF file: a box of version 2 or 3, whose last four
#: letters before the name are the kind of the item.
_HEIF_METADATA_ITEM: Final = re.compile(rb"(infe(?:\x02...|\x03...)(?:....|......))(?:Exif|mime)", re.DOTALL)

#: What follows the data of a cut JPEG in two trials: pixels that are missing come out differently.
_PADDINGS: Final = (b"\x00" * 64, b"\x5a\xa7" * 32)

#: Pixels of a JPEG that are compared, at their full size.
_MOST_COMPARED: Final = 60_000_000

#: Rows of pixels that are compared at once.
_ROWS: Final = 256


def candidates(body: bytes, image_format: ImageFormat) -> Iterator[bytes]:
    """Give other forms of a file that could not be read, in the order in which they are worth a trial.

    :param body: the whole file.
    :param image_format: what it is by its first bytes.
    """
    ended = _with_its_end(body, image_format)
    seen = {body}
    for profile in (True, False):
        file = _without_metadata(ended, image_format, profile=profile)
        if file is not None and file not in seen:
            seen.add(file)
            yield file
    stripped = pixels_only(ended, image_format.media_type)
    if stripped is not None and stripped not in seen:
        yield stripped


def _with_its_end(body: bytes, image_format: ImageFormat) -> bytes:
    """Add what ends a file, where only that is missing."""
    if image_format is formats.JPEG:
        cut = body.removesuffix(b"\xff")
        return cut + _JPEG_END if _has_all_pixels(cut) else body
    if image_format is formats.GIF and not body.endswith(b"\x3b"):
        return body + b"\x00\x3b"
    if image_format is formats.WEBP:
        return body[:4] + (len(body) - 8).to_bytes(4, "little") + body[8:]
    return body


def _has_all_pixels(body: bytes) -> bool:
    """Say whether a JPEG without its end marker has all of its pixels: then what follows them makes no difference."""
    if body.rstrip(b"\x00").endswith(_JPEG_END):
        return False
    try:
        digests = {_digest_of_pixels(body + padding + _JPEG_END) for padding in _PADDINGS}
    except Exception:  # noqa: BLE001 - it is broken in another way, too
        return False
    return len(digests) == 1


def _digest_of_pixels(body: bytes) -> bytes:
    image = formats.open_image(body, formats.JPEG)
    check_cost(image, body, _MOST_COMPARED)
    image.load()
    digest = hashlib.sha256()
    for top in range(0, image.height, _ROWS):
        digest.update(image.crop((0, top, image.width, min(image.height, top + _ROWS))).tobytes())
    return digest.digest()


def _without_metadata(body: bytes, image_format: ImageFormat, *, profile: bool) -> bytes | None:
    """Leave out what is known to be metadata, and the colour profile unless it is kept; all else stays."""
    try:
        if image_format is formats.PNG:
            return _png(body, profile=profile)
        if image_format is formats.JPEG:
            return _jpeg(body, profile=profile)
        if image_format is formats.WEBP:
            return _webp(body, profile=profile)
    except IndexError:
        return None
    if image_format in (formats.AVIF, formats.HEIF):
        # Readers pass over items of a kind that they do not know.
        return _HEIF_METADATA_ITEM.sub(rb"\g<1>skip", body)
    return body


def _png(body: bytes, *, profile: bool) -> bytes:
    kept, position = [body[:8]], 8
    while position + 8 <= len(body):
        length, kind = int.from_bytes(body[position : position + 4], "big"), body[position + 4 : position + 8]
        chunk = body[position : position + 12 + length]
        position += 12 + length
        dropped = kind in _PNG_METADATA or (kind == b"iCCP" and not (profile and _is_small_profile(chunk[8:-4])))
        if kind == b"IEND":
            break
        if not dropped and not _is_broken_extra(chunk, body[_PNG_COLOURS]):
            kept.append(chunk)
    return b"".join([*kept, _PNG_END])


def _is_broken_extra(chunk: bytes, colours: int) -> bool:
    """Say whether a chunk that a reader may pass over has a wrong checksum or length."""
    if not chunk[4] & _PNG_ANCILLARY:
        return False
    kind, length = chunk[4:8], len(chunk) - 12
    right_length = _PNG_TRANSPARENT.get(colours, length) if kind == b"tRNS" else _PNG_LENGTHS.get(kind, length)
    return length != right_length or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big")


def _is_small_profile(data: bytes) -> bool:
    start = data.find(b"\x00", 0, 80) + 2
    try:
        unpacked = zlib.decompressobj().decompress(data[start:], _LARGEST_PROFILE + 1)
    except zlib.error:
        return False
    return 0 < len(unpacked) <= _LARGEST_PROFILE


def _jpeg(body: bytes, *, profile: bool) -> bytes:
    kept, position = [body[:2]], 2
    while body[position] == 0xFF:
        marker = body[position + 1]
        if marker == 0xFF:  # bytes that fill up
            position += 1
            continue
        if marker in (0xDA, 0xD9):
            break
        length = 2 + int.from_bytes(body[position + 2 : position + 4], "big")
        if marker not in _JPEG_METADATA and (profile or marker != 0xE2):
            kept.append(body[position : position + length])
        position += length
    return b"".join([*kept, body[position:]])


def _webp(body: bytes, *, profile: bool) -> bytes:
    kept, position = [], 12
    dropped_flags = _WEBP_METADATA_FLAGS | (0 if profile else _WEBP_PROFILE_FLAG)
    while position + 8 <= len(body):
        length, kind = int.from_bytes(body[position + 4 : position + 8], "little"), body[position : position + 4]
        chunk = body[position : position + 8 + length + length % 2]
        position += len(chunk)
        if kind == b"VP8X" and len(chunk) > 8:
            kept.append(chunk[:8] + bytes([chunk[8] & ~dropped_flags]) + chunk[9:])
        elif kind not in _WEBP_METADATA and (profile or kind != b"ICCP"):
            kept.append(chunk)
    content = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(content).to_bytes(4, "little") + content
