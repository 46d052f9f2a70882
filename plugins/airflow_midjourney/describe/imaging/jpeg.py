"""Any decodable image as a small upright sRGB JPEG that holds nothing but pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from PIL import ExifTags, Image, ImageCms, ImageOps

from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.model.status import Reason

#: Tried in this order until the file is small enough; the last one is taken as it comes.
JPEG_QUALITIES: Final = (90, 80, 70, 55, 40)

#: Decoded at a fraction of their size where that is enough, which needs them unloaded.
_SHRINK_WHILE_DECODING: Final = frozenset({"JPEG", "MPO"})

_ON_ITS_SIDE: Final = frozenset({5, 6, 7, 8})

#: Modes that shrink and convert well as they are.
_PLAIN_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})

_WITH_ALPHA: Final = frozenset({"LA", "RGBA"})

#: The usual white points of pixels that are wider than eight bits. Cameras and scanners with 12 bits leave the
#: upper four of 16 empty.
_WHITE_POINTS: Final = (1.0, 255.0, 4095.0, 65535.0)


@dataclass(frozen=True, slots=True)
class SmallJpeg:
    """The file, and the size of the image it was made from.

    :param body: the JPEG file.
    :param width: of the original in pixels, held upright.
    :param height: of the original in pixels, held upright.
    """

    body: bytes = field(repr=False)
    width: int
    height: int


def to_small_jpeg(image: Image.Image, *, most_pixels_a_side: int, most_bytes: int) -> SmallJpeg:
    """Decode the first frame, turn it upright, lay it on white and encode it as a JPEG.

    :param image: as opened, not yet loaded.
    :param most_pixels_a_side: longer images are shrunk to this.
    :param most_bytes: the quality goes down from 90 until the file has no more than this.
    :raises ImageRejectedError: the pixels are no numbers (``corrupt``).
    :raises Exception: whatever Pillow raises on damaged files.
    """
    if image.format not in _SHRINK_WHILE_DECODING:
        image.load()
    width, height = image.size
    small = _in_plain_mode(image)
    small.thumbnail((most_pixels_a_side, most_pixels_a_side), Image.Resampling.LANCZOS)
    # Asked for only now, as some readers turn the image themselves while they load it.
    if small.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE:
        width, height = height, width
    upright = ImageOps.exif_transpose(small)
    pixels = _in_srgb(_on_white(upright), image.info.get("icc_profile"))
    return SmallJpeg(_encode(pixels, most_bytes), width, height)


def _in_plain_mode(image: Image.Image) -> Image.Image:
    if image.mode in _PLAIN_MODES and "transparency" not in image.info:
        return image
    if image.mode.startswith(("I", "F")):
        return _in_eight_bits(image)
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_eight_bits(image: Image.Image) -> Image.Image:
    # Pillow cuts wide pixels off at 255, which turns most of such an image white.
    wide = image.convert("F")
    low, high = (float(value) for value in wide.getextrema())  # type: ignore[arg-type]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageRejectedError(Reason.CORRUPT, "The pixels of the image are no finite numbers.")
    black, white = _black_and_white(low, high)
    scale = 255.0 / (white - black) if white > black else 0.0
    return wide.point(lambda value: value * scale + (0.5 - black * scale)).convert("L")


def _black_and_white(low: float, high: float) -> tuple[float, float]:
    if low < 0.0:
        return low, high
    return 0.0, next((point for point in _WHITE_POINTS if high <= point), high)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode not in _WITH_ALPHA:
        return image
    layer = image.convert("RGBA")
    canvas = Image.new("RGB", layer.size, "white")
    canvas.paste(layer, mask=layer.getchannel("A"))
    return canvas


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except Exception:  # noqa: BLE001 - a profile that cannot be used costs some colour, not the image
            converted = None
        if converted is not None:
            return converted
    return image.convert("RGB")


def _encode(image: Image.Image, most_bytes: int) -> bytes:
    # Pillow writes comments and the like that an image carries; a new canvas carries none.
    canvas = Image.new("RGB", image.size)
    canvas.paste(image)
    body = b""
    for quality in JPEG_QUALITIES:
        buffer = BytesIO()
        canvas.save(buffer, format="JPEG", quality=quality)
        body = buffer.getvalue()
        if len(body) <= most_bytes:
            break
    return body
