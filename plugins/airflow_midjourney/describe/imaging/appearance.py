"""What other viewers show of an image, where its file says one thing and its pixels another.

Everything here is decided by the file's header before the pixels are there, and applied to strips of them, so that no
second copy of a large image is ever made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from PIL import ExifTags, Image, ImageChops, ImageCms, ImageMath, ImagePalette

from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.model.status import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

_PHOTOMETRIC: Final = 262
_COLOUR_MAP: Final = 320
_BITS_PER_SAMPLE: Final = 258
_MAX_SAMPLE_VALUES: Final = (281, 341)
_SAMPLE_FORMAT: Final = 339
_SIGNED: Final = 2
_WHITE_IS_ZERO: Final = 0

#: Modes that shrink and convert well as they are.
_PLAIN_MODES: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})

#: The usual white points of pixels that are wider than eight bits. Cameras and scanners with 12 bits leave the
#: upper four of 16 empty; other depths are told by the file's MaxSampleValue.
_WHITE_POINTS: Final = (1.0, 255.0, 4095.0, 65535.0)

#: How much larger an image stays that is reduced roughly, by whole numbers.
_ROUGHLY: Final = 1.25

#: Pixels of a strip.
_STRIP: Final = 2_000_000

#: Channels whose values lie this close together show nothing.
_NOTHING_TO_SEE: Final = 8

#: What a drawing is laid on that would vanish on white.
_GREY: Final = (96, 96, 96)

UPRIGHT: Final = 1


@dataclass(frozen=True, slots=True)
class Appearance:
    """How the pixels of one opened image have to be read.

    :param white_is_zero: the smallest value is white, and the reader has not turned it round.
    :param white: the value that stands for white, None where the file does not say.
    :param frame: the part of the canvas that the first frame fills; None for all of it. The rest is transparent.
    :param drop_empty_alpha: an alpha channel that is zero throughout says nothing.
    :param wrapped: values of 32 bits without a sign, of which the reader has made negative ones.
    """

    white_is_zero: bool = False
    white: float | None = None
    frame: tuple[int, int, int, int] | None = None
    drop_empty_alpha: bool = False
    wrapped: bool = False

    @classmethod
    def of(cls, image: Image.Image) -> Appearance:
        """Read the header of an image that is opened and not yet loaded, and mend a palette that is known to be off."""
        if image.format == "TIFF":
            _scale_palette(image)
            wide = _is_wide_and_white_is_zero(image)
            return cls(white_is_zero=wide, white=_max_sample_value(image), wrapped=_is_wrapped(image))
        if image.format == "GIF":
            return cls(frame=_first_frame(image))
        return cls(drop_empty_alpha=image.format in ("BMP", "DIB"))


@dataclass(frozen=True, slots=True)
class _Scale:
    """How values of wide pixels become eight bits."""

    factor: float
    offset: float
    inverted: bool
    wrapped: bool

    def apply(self, strip: Image.Image) -> Image.Image:
        narrow = (
            _values(strip, wrapped=self.wrapped).point(lambda value: value * self.factor + self.offset).convert("L")
        )
        return ImageChops.invert(narrow) if self.inverted else narrow


def in_plain_pixels(image: Image.Image, seen: Appearance, most_pixels_a_side: int) -> Image.Image:
    """Give a loaded image in one of the modes L, LA, RGB, RGBA and CMYK, as viewers show it.

    A large one is reduced on the way, to no less than the size that is wanted and a quarter more.

    :param seen: what its header said.
    :raises ImageRejectedError: the pixels are no numbers (``corrupt``).
    """
    scale = _scale(image, seen) if image.mode.startswith(("I", "F")) else None
    empty = seen.drop_empty_alpha and _has_empty_alpha(image)
    factor = max(1, max(image.size) // max(scaled_size(image, most_pixels_a_side)))
    if factor == 1 and not seen.frame and not empty and _is_plain(image):
        return _brightened(image, seen)
    canvas: Image.Image | None = None
    for top, strip in _strips(image, factor):
        plain = _plain(strip, scale)
        if empty:
            plain = plain.convert("RGB")
        if seen.frame:
            plain = _within(plain, seen.frame, top)
        small = plain.reduce(factor) if factor > 1 else plain
        if canvas is None:
            canvas = Image.new(small.mode, (-(-image.width // factor), -(-image.height // factor)))
        canvas.paste(small, (0, top // factor))
    return _brightened(canvas or image, seen)


def scaled_size(image: Image.Image, most_pixels_a_side: int) -> tuple[int, int]:
    """Give the size down to which an image may be reduced roughly, before it is shrunk with care to what is wanted."""
    share = min(1.0, _ROUGHLY * most_pixels_a_side / max(image.size))
    return max(1, round(image.width * share)), max(1, round(image.height * share))


def on_background(image: Image.Image) -> Image.Image:
    """Lay an image with alpha on white, or on grey where it would vanish on white."""
    if image.mode not in ("LA", "RGBA"):
        return image
    layer = image.convert("RGBA")
    alpha = layer.getchannel("A")
    on_white = _laid_on(layer, alpha, (255, 255, 255))
    low, high = alpha.getextrema()
    return _laid_on(layer, alpha, _GREY) if low != high and _shows_nothing(on_white) else on_white


def vanishes_on_white(image: Image.Image) -> bool:
    """Say whether a loaded image is a drawing on transparency of which nothing is left on white."""
    if not image.has_transparency_data:
        return False
    layer = image.convert("RGBA")
    alpha = layer.getchannel("A")
    low, high = alpha.getextrema()
    return low != high and _shows_nothing(_laid_on(layer, alpha, (255, 255, 255)))


def orientation_of(image: Image.Image) -> int:
    """Give the EXIF orientation, 1 to 8; upright where the EXIF data cannot be read.

    Ask for it after the pixels are loaded: some readers turn the image themselves while they load it.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)
    except Exception:  # noqa: BLE001 - broken metadata never costs the image
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def _laid_on(layer: Image.Image, alpha: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    canvas = Image.new("RGB", layer.size, colour)
    canvas.paste(layer, mask=alpha)
    return canvas


def _shows_nothing(image: Image.Image) -> bool:
    extremes: list[tuple[int, int]] = [band.getextrema() for band in image.split()]  # type: ignore[misc]
    return all(high - low <= _NOTHING_TO_SEE for low, high in extremes)


def _strips(image: Image.Image, factor: int) -> Iterator[tuple[int, Image.Image]]:
    rows = max(1, _STRIP // max(1, image.width) // factor) * factor
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(image.height, top + rows)))


def _is_plain(image: Image.Image) -> bool:
    return image.mode in _PLAIN_MODES and "transparency" not in image.info


def _plain(strip: Image.Image, scale: _Scale | None) -> Image.Image:
    if scale is not None:
        return scale.apply(strip)
    if _is_plain(strip):
        return strip
    if strip.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(strip, lab, srgb, outputMode="RGB") or strip
    return strip.convert("RGBA" if strip.has_transparency_data else "RGB")


def _within(plain: Image.Image, frame: tuple[int, int, int, int], top: int) -> Image.Image:
    """Make all that lies outside a frame transparent."""
    left, upper, right, lower = frame
    inside = (left, max(0, upper - top), right, min(plain.height, lower - top))
    result = Image.new("RGBA", plain.size)
    if inside[1] < inside[3]:
        result.paste(plain.convert("RGBA").crop(inside), inside[:2])
    return result


def _has_empty_alpha(image: Image.Image) -> bool:
    return image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0)


def _brightened(image: Image.Image, seen: Appearance) -> Image.Image:
    """Scale colours of 16 bits, of which the reader has kept the upper eight, to the white that the file names."""
    if seen.white is None or image.mode not in ("RGB", "RGBA") or not 255 < seen.white < 65535:
        return image
    factor = 65535 / seen.white
    table = [min(255, round(value * factor)) for value in range(256)]
    alpha = list(range(256)) if image.mode == "RGBA" else []
    return image.point(table * 3 + alpha)


def _scale(image: Image.Image, seen: Appearance) -> _Scale:
    # Pillow cuts wide pixels off at 255, which turns most of such an image white.
    extremes = [_values(strip, wrapped=seen.wrapped).getextrema() for _, strip in _strips(image, 1)]
    low, high = min(float(one[0]) for one in extremes), max(float(one[1]) for one in extremes)  # type: ignore[arg-type]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageRejectedError(Reason.CORRUPT, "The pixels of the image are no finite numbers.")
    black, white = _black_and_white(low, high, seen.white)
    factor = 255.0 / (white - black) if white > black else 0.0
    return _Scale(factor, 0.5 - black * factor, seen.white_is_zero, seen.wrapped)


def _values(strip: Image.Image, *, wrapped: bool) -> Image.Image:
    values = strip.convert("F")
    if not wrapped:
        return values
    whole: Image.Image = ImageMath.lambda_eval(
        lambda given: given["values"] + (given["values"] < 0) * 2.0**32, values=values
    )
    return whole


def _black_and_white(low: float, high: float, told: float | None) -> tuple[float, float]:
    if low < 0.0:
        return low, high
    if told is not None and told >= high:
        return 0.0, told
    return 0.0, next((point for point in _WHITE_POINTS if high <= point), high)


def _tag(image: Image.Image, number: int) -> object:
    """Give a tag of a TIFF; None where there is none, or it cannot be read."""
    try:
        value = image.tag_v2.get(number)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - a tag that only describes never costs the image
        return None
    return value[0] if isinstance(value, tuple) and number != _COLOUR_MAP and value else value


def _is_wide_and_white_is_zero(image: Image.Image) -> bool:
    return image.mode.startswith(("I", "F")) and _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO


def _is_wrapped(image: Image.Image) -> bool:
    return image.mode == "I" and _tag(image, _BITS_PER_SAMPLE) == 32 and _tag(image, _SAMPLE_FORMAT) != _SIGNED


def _max_sample_value(image: Image.Image) -> float | None:
    bits = _tag(image, _BITS_PER_SAMPLE)
    for number in _MAX_SAMPLE_VALUES:
        value = _tag(image, number)
        if isinstance(value, int | float) and isinstance(bits, int) and 8 < bits <= 32 and 0 < value < 2.0**bits:
            return float(value)
    return None


def _scale_palette(image: Image.Image) -> None:
    """Read a colour map of 8 bits as one, as libtiff does; its values should fill 16."""
    colours = _tag(image, _COLOUR_MAP)
    if image.mode != "P" or not isinstance(colours, tuple) or not colours or max(colours) > 255:
        return
    image.palette = ImagePalette.raw("RGB;L", bytes(colours))


def _first_frame(image: Image.Image) -> tuple[int, int, int, int] | None:
    tiles = getattr(image, "tile", None)
    if not tiles:
        return None
    frame: tuple[int, int, int, int] = tuple(tiles[0][1])
    return None if frame == (0, 0, *image.size) else frame
