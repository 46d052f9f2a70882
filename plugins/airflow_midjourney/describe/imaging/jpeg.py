"""Any decodable image as a small upright sRGB JPEG that holds nothing but pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BytesIO
from typing import Final

from PIL import Image, ImageCms

from airflow_midjourney.describe.imaging.appearance import (
    Appearance,
    in_plain_pixels,
    on_background,
    orientation_of,
    scaled_size,
)

#: Tried in this order until the file is small enough; the last one is taken as it comes.
JPEG_QUALITIES: Final = (90, 80, 70, 55, 40)

#: Decoded at a fraction of their size where that is enough, which needs them unloaded.
_SHRINK_WHILE_DECODING: Final = frozenset({"JPEG", "MPO"})

_ON_ITS_SIDE: Final = frozenset({5, 6, 7, 8})

#: What brings an image upright that has this EXIF orientation.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    """Decode the first frame, turn it upright, lay it on white or grey, and encode it as a JPEG.

    :param image: as opened, not yet loaded.
    :param most_pixels_a_side: longer images are shrunk to this.
    :param most_bytes: the quality goes down from 90 until the file has no more than this.
    :raises ImageRejectedError: the pixels are no numbers (``corrupt``).
    :raises Exception: whatever Pillow raises on damaged files.
    """
    seen = Appearance.of(image)
    width, height = image.size
    if image.format in _SHRINK_WHILE_DECODING:
        image.draft(None, scaled_size(image, most_pixels_a_side))
        image.load()
    else:
        image.load()
        width, height = image.size
    small = in_plain_pixels(image, seen, most_pixels_a_side)
    orientation = orientation_of(image)
    profile = image.info.get("icc_profile")
    if small is not image:
        # The pixels of the original go before those of the result are worked on: a tenth of the most memory.
        image.close()
    small.thumbnail((most_pixels_a_side, most_pixels_a_side), Image.Resampling.LANCZOS)
    if orientation in _ON_ITS_SIDE:
        width, height = height, width
    turn = _TURNS.get(orientation)
    upright = small if turn is None else small.transpose(turn)
    pixels = _in_srgb(on_background(upright), profile)
    return SmallJpeg(_encode(pixels, most_bytes), width, height)


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
