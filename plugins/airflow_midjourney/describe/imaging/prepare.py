"""From the bytes of an image to what is sent: checked, stripped of what is private, and small enough."""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final, TypeVar

from PIL import Image, UnidentifiedImageError

from airflow_midjourney.describe.imaging import formats
from airflow_midjourney.describe.imaging.appearance import UPRIGHT, orientation_of, vanishes_on_white
from airflow_midjourney.describe.imaging.jpeg import to_small_jpeg
from airflow_midjourney.describe.imaging.limits import check_cost
from airflow_midjourney.describe.imaging.metadata import pixels_only
from airflow_midjourney.describe.imaging.repair import candidates
from airflow_midjourney.describe.imaging.unreadable import is_whole_but_unknown
from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.model.status import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.imaging.formats import ImageFormat

T = TypeVar("T")

#: Raise this whenever more images can be read than before, or other limits hold.
READER_VERSION: Final = 2

MAX_PIXELS: Final = 100_000_000

#: Larger images are converted before they are sent. Some gateways advise at most 4 MB an image.
MAX_SENT_BYTES: Final = 2 * 1024 * 1024
MAX_SENT_SIDE: Final = 2048

#: Decodes at once in this process; ``limits`` bounds what each may take.
DECODES_AT_ONCE: Final = 2

_decodes: Final = BoundedSemaphore(DECODES_AT_ONCE)


@dataclass(frozen=True, slots=True)
class PreparedImage:
    """An image as it is sent, and what is remembered of the original.

    :param content_sha256: SHA-256 of the original bytes, in hex.
    :param media_type: of the original, found by its content.
    :param width: of the original in pixels, held upright.
    :param height: of the original in pixels, held upright.
    :param data_uri: ``data:<media type>;base64,<padded base64 without line breaks>``, the one form that every
        service takes (novicezk 2.6.3 refuses all others).
    :param sent_media_type: ``image/png``, ``image/jpeg``, ``image/webp`` or ``image/gif``.
    :param sent_bytes: how many bytes are sent, before base64.
    """

    content_sha256: str
    media_type: str
    width: int
    height: int
    data_uri: str = field(repr=False)
    sent_media_type: str
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class _Encoded:
    body: bytes = field(repr=False)
    media_type: str
    width: int
    height: int


def prepare(body: bytes, *, image_uri: str, strip_metadata: bool = True) -> PreparedImage:
    """Check an image by reading it once to its end, and bring it into the form that is sent.

    A PNG, JPEG, WebP or GIF of at most 2 MB and 2,048 pixels a side keeps its pixels untouched; EXIF, GPS,
    XMP, comments and texts are cut out of the file. Anything else, animations, images with a colour profile or an
    orientation and drawings of which white would leave nothing among it, becomes a JPEG of its first frame. Blocks
    while two others are decoded.

    :param body: the original bytes.
    :param image_uri: the image, for the error.
    :param strip_metadata: False to send small images byte for byte, with all that is in the file. A converted
        image never holds metadata.
    :raises ImageRejectedError: ``empty``, ``unsupported_format``, ``corrupt`` or ``too_large``; nothing else,
        whatever the bytes are.
    """

    def encode(file: bytes, image_format: ImageFormat) -> _Encoded:
        return _encode(file, image_format, strip_metadata=strip_metadata)

    image_format, encoded = _decoded(body, image_uri, encode)
    text = base64.b64encode(encoded.body).decode("ascii")
    return PreparedImage(
        content_sha256=hashlib.sha256(body).hexdigest(),
        media_type=image_format.media_type,
        width=encoded.width,
        height=encoded.height,
        data_uri=f"data:{encoded.media_type};base64,{text}",
        sent_media_type=encoded.media_type,
        sent_bytes=len(encoded.body),
    )


def shrink(body: bytes, *, image_uri: str, most_pixels: int, most_pixels_a_side: int, most_bytes: int) -> bytes:
    """Make a small JPEG without metadata, for a person to look at. Blocks while two others are decoded.

    :param body: the original bytes.
    :param image_uri: the image, for the error.
    :param most_pixels: images with more, by their header, are not decoded.
    :param most_pixels_a_side: of the JPEG.
    :param most_bytes: of the JPEG.
    :raises ImageRejectedError: ``empty``, ``unsupported_format``, ``corrupt`` or ``too_large``; nothing else,
        whatever the bytes are.
    """

    def to_jpeg(file: bytes, image_format: ImageFormat) -> bytes:
        image = _opened(file, image_format, most_pixels)
        return to_small_jpeg(image, most_pixels_a_side=most_pixels_a_side, most_bytes=most_bytes).body

    return _decoded(body, image_uri, to_jpeg)[1]


def reader_fingerprint() -> str:
    """Say in a short text what this installation can read; it changes when that does.

    Stored with rejected rows, so that a better reader tries them again.
    """
    optional = (formats.WEBP, formats.AVIF, formats.HEIF)
    return "-".join([str(READER_VERSION), *(f.name.lower() for f in optional if formats.is_readable(f))])


@contextmanager
def _rejections(body: bytes, image_uri: str) -> Iterator[None]:
    try:
        yield
    except ImageRejectedError as error:
        error.image_uri = image_uri
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejectedError(Reason.TOO_LARGE, str(error), image_uri=image_uri) from error
    except MemoryError as error:
        message = "The image does not fit into the memory of this worker."
        raise ImageRejectedError(Reason.TOO_LARGE, message, image_uri=image_uri) from error
    except Exception as error:  # strangers' bytes make decoders raise nearly anything
        raise _unreadable(body, image_uri, error) from error


def _unreadable(body: bytes, image_uri: str, error: Exception) -> ImageRejectedError:
    image_format = formats.recognise(body)
    if image_format is not None and is_whole_but_unknown(body, image_format, error):
        message = (
            f"The file is whole, but a {image_format.name} of this kind cannot be read ({_printable(error)}). Save it"
            " anew, as a plain PNG or JPEG."
        )
        return ImageRejectedError(Reason.UNSUPPORTED_FORMAT, message, image_uri=image_uri)
    message = f"The image cannot be decoded: {_printable(error)}"
    return ImageRejectedError(Reason.CORRUPT, message, image_uri=image_uri)


def _printable(error: Exception) -> str:
    # Pillow's own text for this names an object in memory.
    text = "its header is damaged" if isinstance(error, UnidentifiedImageError) else str(error)
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:200])
    return f"{shown or 'no details'} ({type(error).__name__})"


def _supported_format(body: bytes) -> ImageFormat:
    if not body:
        raise ImageRejectedError(Reason.EMPTY, "The object has no bytes.")
    image_format = formats.recognise(body)
    if image_format is None:
        known = ", ".join(known_format.name for known_format in formats.FORMATS)
        raise ImageRejectedError(Reason.UNSUPPORTED_FORMAT, f"The content is none of {known}.")
    if not formats.is_readable(image_format):
        extra = " Install airflow-provider-midjourney[heif]." if image_format is formats.HEIF else ""
        message = f"This installation cannot read {image_format.name}.{extra}"
        raise ImageRejectedError(Reason.UNSUPPORTED_FORMAT, message)
    return image_format


def _decoded(body: bytes, image_uri: str, decode: Callable[[bytes, ImageFormat], T]) -> tuple[ImageFormat, T]:
    """Decode an image that is no bigger than may be, side by side with at most one other."""
    with _rejections(body, image_uri):
        image_format = _supported_format(body)
        with _decodes:
            return image_format, _despite_metadata(body, image_format, decode)


def _despite_metadata(body: bytes, image_format: ImageFormat, decode: Callable[[bytes, ImageFormat], T]) -> T:
    try:
        return decode(body, image_format)
    except (ImageRejectedError, MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise
    except Exception:
        # Pillow reads metadata along with the pixels: a text of 2 MB or a broken EXIF block must not cost
        # the image, nor must an end marker that is missing.
        for file in candidates(body, image_format):
            with suppress(Exception):
                return decode(file, image_format)
        raise


def _opened(body: bytes, image_format: ImageFormat, most_pixels: int) -> Image.Image:
    """Open an image by its header, if that promises no more pixels than may be decoded."""
    image = formats.open_image(body, image_format)
    check_cost(image, body, most_pixels)
    return image


def _encode(body: bytes, image_format: ImageFormat, *, strip_metadata: bool) -> _Encoded:
    image = _opened(body, image_format, MAX_PIXELS)
    if image_format.sent_as_is and _needs_no_change(image):
        as_it_is = pixels_only(body, image_format.media_type) if strip_metadata else body
        if as_it_is is not None and len(as_it_is) <= MAX_SENT_BYTES and _shows_something(as_it_is, image_format):
            return _Encoded(as_it_is, image_format.media_type, image.width, image.height)
    small = to_small_jpeg(image, most_pixels_a_side=MAX_SENT_SIDE, most_bytes=MAX_SENT_BYTES)
    return _Encoded(small.body, formats.JPEG.media_type, small.width, small.height)


def _shows_something(body: bytes, image_format: ImageFormat) -> bool:
    """Read what is sent through, which has to be whole, and say whether anything of it is left on white.

    :raises Exception: whatever Pillow raises on bytes that are not what they seem.
    """
    return not vanishes_on_white(formats.read_through(body, image_format))


def _needs_no_change(image: Image.Image) -> bool:
    return (
        max(image.size) <= MAX_SENT_SIDE
        and image.mode != "CMYK"
        and not getattr(image, "is_animated", False)
        and orientation_of(image) == UPRIGHT
    )
