"""Image bytes -> what can be said of the picture from its pixels alone."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from airflow_midjourney.testing.simulator.palette import NamedColour, nearest

_FORMATS: Final = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_MAX_PIXELS: Final = 100_000_000
_SIDE: Final = 128

#: What Pillow raises for bytes that are no picture, or a broken one.
_UNREADABLE: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    TypeError,
    LookupError,
    ZeroDivisionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

Plane = npt.NDArray[np.float64]


class UnreadableImageError(ValueError):
    """The bytes are not a picture that can be opened."""


@dataclass(frozen=True, slots=True)
class ImageReading:
    """What the pixels say. All measures run from 0 to 1 unless said otherwise.

    :param colours: the leading colours, largest area first, one to three of them.
    :param warmth: from -1 (blue) to 1 (red).
    :param symmetry: how alike the left and right halves are.
    :param edges: the share of the area that is full of detail.
    :param horizon: the height of the strongest horizontal border, from the top; None without a clear one.
    :param open_sky: the upper part is bright, even and bluer than the lower.
    :param plain_ground: the rim of the picture has one colour.
    :param focus: where most of the detail is: "the centre", "the upper left", ...
    :param fingerprint: a number that follows from the pixels, to choose among words.
    """

    width: int
    height: int
    colours: tuple[NamedColour, ...]
    brightness: float
    contrast: float
    saturation: float
    warmth: float
    symmetry: float
    edges: float
    horizon: float | None
    open_sky: bool
    plain_ground: bool
    focus: str
    fingerprint: int


def read_image(content: bytes) -> ImageReading:
    """Look at a picture.

    :param content: a PNG, JPEG, WebP, GIF, BMP or TIFF file.
    :raises UnreadableImageError: for anything else, and for broken files.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > _MAX_PIXELS:
                raise UnreadableImageError("too many pixels")
            width, height = _upright_size(opened)
            opened.draft("RGB", (_SIDE * 2, _SIDE * 2))
            small = _on_white(ImageOps.exif_transpose(opened))
    except _UNREADABLE as error:
        raise UnreadableImageError("not a readable picture") from error
    return _reading(small, width, height)


def _upright_size(opened: Image.Image) -> tuple[int, int]:
    width, height = opened.size
    return (height, width) if opened.getexif().get(0x0112, 1) in {5, 6, 7, 8} else (width, height)


def _on_white(opened: Image.Image) -> Image.Image:
    image = opened.convert("RGBA")
    image.thumbnail((_SIDE, _SIDE))
    ground = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(ground, image).convert("RGB")


def _reading(image: Image.Image, width: int, height: int) -> ImageReading:
    pixels: Plane = np.asarray(image, dtype=np.float64) / 255
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    light: Plane = 0.299 * red + 0.587 * green + 0.114 * blue
    spread: Plane = pixels.max(axis=2) - pixels.min(axis=2)
    detail = _detail(light)
    return ImageReading(
        width=width,
        height=height,
        colours=_leading_colours(image),
        brightness=float(light.mean()),
        contrast=min(1.0, float(light.std()) * 2),
        saturation=float(spread.mean()),
        warmth=float((red - blue).mean()),
        symmetry=1 - min(1.0, float(np.abs(light - light[:, ::-1]).mean()) * 3),
        edges=float((detail > 0.08).mean()),
        horizon=_horizon(light),
        open_sky=_open_sky(pixels, detail),
        plain_ground=_plain_ground(pixels),
        focus=_focus(detail),
        fingerprint=zlib.crc32(image.resize((16, 16)).tobytes()),
    )


def _detail(light: Plane) -> Plane:
    down: Plane = np.abs(np.diff(light, axis=0, prepend=light[:1]))
    across: Plane = np.abs(np.diff(light, axis=1, prepend=light[:, :1]))
    return down + across


def _leading_colours(image: Image.Image) -> tuple[NamedColour, ...]:
    few = image.quantize(colors=8, method=Image.Quantize.MEDIANCUT)
    table = few.getpalette() or []
    areas: dict[NamedColour, int] = {}
    for place, area in enumerate(few.histogram()[: len(table) // 3]):
        if area:
            colour = nearest(*table[place * 3 : place * 3 + 3])
            areas[colour] = areas.get(colour, 0) + area
    return tuple(sorted(areas, key=lambda colour: (-areas[colour], colour.name))[:3])


def _horizon(light: Plane) -> float | None:
    if light.shape[0] < 16:
        return None
    steps: Plane = np.abs(np.diff(light.mean(axis=1)))
    inner = steps[len(steps) // 8 : -len(steps) // 8]
    place = int(inner.argmax())
    if inner[place] < max(0.1, 5 * float(steps.mean())):
        return None
    return (place + len(steps) // 8 + 1) / len(light)


def _open_sky(pixels: Plane, detail: Plane) -> bool:
    third = pixels.shape[0] // 3
    if third < 4:
        return False
    above, below = pixels[:third], pixels[-third:]
    bluer = float((above[..., 2] - above[..., 0]).mean()) > float((below[..., 2] - below[..., 0]).mean())
    even = float((detail[:third] > 0.08).mean()) < 0.1
    return bluer and even and float(above.mean()) > max(0.4, float(below.mean()))


def _plain_ground(pixels: Plane) -> bool:
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return float(rim.std(axis=0).max()) < 0.06


def _focus(detail: Plane) -> str:
    total = float(detail.sum())
    if total < 1e-6:
        return "the whole frame"
    rows, columns = detail.shape
    down = float((detail.sum(axis=1) * np.arange(rows)).sum()) / total / max(1, rows - 1)
    across = float((detail.sum(axis=0) * np.arange(columns)).sum()) / total / max(1, columns - 1)
    vertical = "upper" if down < 0.44 else "lower" if down > 0.56 else ""
    horizontal = "left" if across < 0.46 else "right" if across > 0.54 else ""
    if not vertical and not horizontal:
        return "the centre"
    return f"the {vertical} {horizontal}".strip() if vertical and horizontal else f"the {vertical or horizontal} half"
