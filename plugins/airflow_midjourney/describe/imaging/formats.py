"""Which image formats are ever opened, how their content is recognised, and by what they are read."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

# Named here so that Pillow has these and need not load all its other plugins to find one.
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
    features,
)

from airflow_midjourney.describe.imaging.limits import WatchedFile

if TYPE_CHECKING:
    from collections.abc import Callable

_PLUGINS: Final = (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)


@dataclass(frozen=True, slots=True)
class ImageFormat:
    """One format that may be opened.

    :param name: Pillow's name of it.
    :param media_type: its media type.
    :param sent_as_is: True where the service takes it without conversion.
    :param feature: the part of Pillow that reads it, where Pillow may lack it.
    """

    name: str
    media_type: str
    sent_as_is: bool = False
    feature: str = ""


PNG: Final = ImageFormat("PNG", "image/png", sent_as_is=True)
JPEG: Final = ImageFormat("JPEG", "image/jpeg", sent_as_is=True)
WEBP: Final = ImageFormat("WEBP", "image/webp", sent_as_is=True, feature="webp")
GIF: Final = ImageFormat("GIF", "image/gif", sent_as_is=True)
BMP: Final = ImageFormat("BMP", "image/bmp")
TIFF: Final = ImageFormat("TIFF", "image/tiff")
AVIF: Final = ImageFormat("AVIF", "image/avif", feature="avif")
HEIF: Final = ImageFormat("HEIF", "image/heif")

FORMATS: Final = (PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF, HEIF)

_SIGNATURES: Final = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"II+\x00", TIFF),
    (b"MM\x00+", TIFF),
)

#: Two letters alone would make bitmaps of many texts; the size of the second header tells them apart.
_BMP_HEADER_SIZES: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})

_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIF_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)

#: More brands than any real file has; what follows in a forged box is not looked at.
_FTYP_BYTES: Final = 256


def recognise(body: bytes) -> ImageFormat | None:
    """Tell the format from the first bytes; file names are not believed.

    :param body: the whole file, or at least its first 256 bytes.
    :return: the format, or None where it is no format that is opened.
    """
    for signature, image_format in _SIGNATURES:
        if body.startswith(signature):
            return image_format
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return WEBP
    if body.startswith(b"BM") and int.from_bytes(body[14:18], "little") in _BMP_HEADER_SIZES:
        return BMP
    if body[4:8] == b"ftyp":
        return _recognise_by_brands(body)
    return None


def is_readable(image_format: ImageFormat) -> bool:
    """Tell whether this installation can read the format.

    :param image_format: one of :data:`FORMATS`.
    """
    if image_format is HEIF:
        return _heif_opener() is not None
    return not image_format.feature or bool(features.check(image_format.feature))


def open_image(body: bytes, image_format: ImageFormat) -> Image.Image:
    """Read the header with the reader of this one format; pixels are left for later.

    :param body: the whole file.
    :param image_format: what :func:`recognise` said; must be readable.
    :raises Exception: whatever Pillow raises on bytes that are not what they seem.
    """
    opener = _heif_opener() if image_format is HEIF else None
    if opener is not None:
        return opener(BytesIO(body))
    return Image.open(WatchedFile(body), formats=(image_format.name,))


def read_through(body: bytes, image_format: ImageFormat) -> Image.Image:
    """Decode an image to its end: damage and missing parts show.

    Of a JPEG all data is read, but only an eighth of its size is drawn, which takes half the time and little memory.

    :param body: the whole file.
    :param image_format: what :func:`recognise` said; must be readable.
    :raises Exception: whatever Pillow raises on bytes that are not what they seem.
    """
    image = open_image(body, image_format)
    image.draft(image.mode, (max(1, image.width // 8), max(1, image.height // 8)))
    image.load()
    return image


def _recognise_by_brands(body: bytes) -> ImageFormat | None:
    end = min(int.from_bytes(body[:4], "big"), _FTYP_BYTES)
    # The four bytes after the major brand are its version, not a brand.
    brands = [body[8:12], *(body[start : start + 4] for start in range(16, end, 4))]
    for brand in brands:
        if brand in _AVIF_BRANDS:
            return AVIF
    return HEIF if _HEIF_BRANDS.intersection(brands) else None


@cache
def _heif_opener() -> Callable[[BytesIO], Image.Image] | None:
    # Called directly: registering it with Pillow would change what other code of this process can open.
    try:
        plugin: Any = importlib.import_module("pillow_heif")
    except ImportError:
        return None
    opener: Callable[[BytesIO], Image.Image] = plugin.HeifImageFile
    return opener
