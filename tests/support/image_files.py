"""Image files of every kind that is read, and a look at what becomes of them."""

from __future__ import annotations

import base64
import io
import re
import struct
import zlib
from typing import TYPE_CHECKING, Any

import pillow_heif
from PIL import Image, PngImagePlugin

if TYPE_CHECKING:
    from airflow_midjourney.describe.imaging.prepare import PreparedImage

URI = "s3://photos/a.jpg"

#: Found in no file by chance, so that its absence says something.
PRIVATE = "GPS-52.5200N-13.4050E"

RED, GREEN, BLUE, WHITE, BLACK = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (0, 0, 0)

#: What :func:`corners` says of :func:`picture` when it is held the right way.
UPRIGHT = [RED, GREEN, BLUE, WHITE]

_DATA_URI = re.compile(r"data:(image/(?:png|jpeg|webp|gif));base64,([A-Za-z0-9+/]+={0,2})")


def picture(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Four quarters of plain colours: red, green, blue, white, so that turns and colour losses show."""
    image = Image.new("RGB", size, "white")
    half = (size[0] // 2, size[1] // 2)
    image.paste("red", (0, 0, *half))
    image.paste("lime", (half[0], 0, size[0], half[1]))
    image.paste("blue", (0, half[1], half[0], size[1]))
    return image


def noise(size: tuple[int, int]) -> Image.Image:
    """Give an image that compresses badly."""
    return Image.merge("RGB", [Image.effect_noise(size, 120) for _ in range(3)])


def encode(image: Image.Image, image_format: str, **options: Any) -> bytes:
    """Write an image in one of Pillow's formats."""
    buffer = io.BytesIO()
    image.save(buffer, format=image_format, **options)
    return buffer.getvalue()


def heic(image: Image.Image) -> bytes:
    """Write an image as phones do."""
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Build one chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif_block(orientation: int = 1) -> Image.Exif:
    """Give EXIF data with an orientation, a private text and a place."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010E] = PRIVATE
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return exif


def sent_bytes(prepared: PreparedImage) -> bytes:
    """Take the file out of the data URI, which has to be strictly well-formed."""
    match = _DATA_URI.fullmatch(prepared.data_uri)
    assert match is not None
    assert match[1] == prepared.sent_media_type
    body = base64.b64decode(match[2], validate=True)
    assert len(body) == prepared.sent_bytes
    return body


def sent_image(prepared: PreparedImage) -> Image.Image:
    """Decode what is sent, in full."""
    image = Image.open(io.BytesIO(sent_bytes(prepared)))
    image.load()
    return image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, rounded to what JPEG leaves of them."""
    rgb = image.convert("RGB")
    places = [(x * rgb.width // 4, y * rgb.height // 4) for y in (1, 3) for x in (1, 3)]
    return [tuple(round(value / 255) for value in rgb.getpixel(place)) for place in places]  # type: ignore[union-attr]


def talkative(image_format: str, size: tuple[int, int], orientation: int = 1) -> bytes:
    """Write a picture with a private text in every place that the format has for it."""
    image = picture(size)
    options: dict[str, Any] = {"exif": exif_block(orientation)}
    if image_format == "PNG":
        texts = PngImagePlugin.PngInfo()
        texts.add_text("parameters", PRIVATE)
        texts.add_text("zipped", PRIVATE, zip=True)
        texts.add_itxt("XML:com.adobe.xmp", f"<x>{PRIVATE}</x>")
        options["pnginfo"] = texts
    elif image_format == "GIF":
        options = {"comment": PRIVATE.encode()}
    elif image_format in ("JPEG", "WEBP", "AVIF"):
        options["xmp"] = f"<x>{PRIVATE}</x>".encode()
    if image_format == "JPEG":
        options["comment"] = PRIVATE.encode()
    return encode(image, image_format, **options) + (PRIVATE.encode() if image_format != "TIFF" else b"")
