"""What one image may cost: at most 400 MB of memory and 5 seconds of processor time, whatever its bytes claim.

Both are bounded by the header, before any pixel is decoded. Where a reader takes a file block by block, the clock is
looked at between two blocks, too, so that a decode which takes longer than its header promised is stopped.
"""

from __future__ import annotations

import re
import time
from io import BytesIO
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import ImageRejectedError
from airflow_midjourney.describe.model.status import Reason

if TYPE_CHECKING:
    from PIL import Image

#: Bytes that the decoded image, its reader's buffers and the file itself may take together.
MOST_MEMORY: Final = 400_000_000

#: Seconds of processor time after which a decode is stopped between two blocks of the file.
MOST_SECONDS: Final = 4.0

#: Scans of a JPEG. Cameras and the web write about ten; viewers stop at some hundred.
MOST_SCANS: Final = 500

#: Pixels times scans of a JPEG: two seconds of processor time.
_MOST_SCANNED_PIXELS: Final = 2_000_000_000

#: Bytes that a reader takes from a file at once: so small that one block of a progressive JPEG takes no seconds.
_BLOCK: Final = 16 * 1024

#: Bytes that a pixel takes in each of Pillow's modes.
_BYTES_OF_MODE: Final = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}

#: Bytes a pixel that looking at a transparent image takes besides, measured.
_BYTES_OF_TRANSPARENCY: Final = 0.25

#: Bytes that a pixel takes at the same time in the buffers of readers that decode an image as a whole, measured.
_BYTES_OF_READER: Final = {"WEBP": 11.5, "AVIF": 5.5, "HEIF": 1.9, "TIFF": 1.0}

#: Bytes that shrinking and encoding take besides, whatever the size.
_WORKING_MEMORY: Final = 100_000_000

_JPEG_SCAN: Final = re.compile(rb"\xff\xda")
_JPEG_PROGRESSIVE: Final = re.compile(rb"\xff[\xc2\xc6\xca\xce]\x00[\x08-\x20]")

#: Bytes of a coefficient, of which a progressive JPEG keeps one for each pixel of each channel while it is read.
_BYTES_OF_COEFFICIENT: Final = 2

#: Bytes that a pixel of the half-size image takes, to which large JPEGs are decoded.
_BYTES_OF_DRAFT: Final = 1


class WatchedFile(BytesIO):
    """A file in memory that stops its reader when it has used up its processor time.

    :param body: the whole file.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body)
        self._ends_at = time.thread_time() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        """Read a block.

        :raises ImageRejectedError: when the time is used up (``too_large``).
        """
        if time.thread_time() > self._ends_at:
            raise ImageRejectedError(
                Reason.TOO_LARGE, f"Decoding the image took more than {MOST_SECONDS:g} s of processor time."
            )
        return super().read(size)


def check_cost(image: Image.Image, body: bytes, most_pixels: int) -> None:
    """Refuse an image whose header promises more than may be decoded.

    :param image: as opened, not yet loaded.
    :param body: the whole file.
    :param most_pixels: that may be decoded.
    :raises ImageRejectedError: ``too_large``.
    """
    pixels = image.width * image.height
    if pixels > most_pixels:
        _refuse(f"The image has {image.width} x {image.height} pixels; at most {most_pixels} are decoded.")
    image.decodermaxblock = _BLOCK  # type: ignore[attr-defined]
    if image.format in ("JPEG", "MPO"):
        _check_scans(image, body, pixels)
        return
    each = _BYTES_OF_MODE.get(image.mode, 4) + _BYTES_OF_READER.get(image.format or "", 0)
    if image.has_transparency_data:
        each += _BYTES_OF_TRANSPARENCY
    _check_memory(image, each, body)


def _check_scans(image: Image.Image, body: bytes, pixels: int) -> None:
    scans = sum(1 for _ in _JPEG_SCAN.finditer(body))
    if scans > MOST_SCANS or pixels * scans > _MOST_SCANNED_PIXELS:
        _refuse(
            f"The JPEG has {scans} scans of {image.width} x {image.height} pixels, which take too long to decode. Save"
            " it anew, as a baseline JPEG."
        )
    if _JPEG_PROGRESSIVE.search(body):
        _check_memory(image, _BYTES_OF_COEFFICIENT * _channels(image) + _BYTES_OF_DRAFT, body)


def _channels(image: Image.Image) -> float:
    """Give how many channels a JPEG has; one at half of the resolution each way is a quarter."""
    areas = [layer[1] * layer[2] for layer in getattr(image, "layer", ())]
    return sum(areas) / max(areas) if areas and max(areas) else 4.0


def _check_memory(image: Image.Image, bytes_each: float, body: bytes) -> None:
    needed = round(image.width * image.height * bytes_each) + len(body) + _WORKING_MEMORY
    if needed > MOST_MEMORY:
        _refuse(
            f"The image has {image.width} x {image.height} pixels, for which its reader needs {needed // 1_000_000} MB;"
            f" at most {MOST_MEMORY // 1_000_000} MB are given to one image. Save it smaller, or as a baseline JPEG."
        )


def _refuse(message: str) -> None:
    raise ImageRejectedError(Reason.TOO_LARGE, message)
