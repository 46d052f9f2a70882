"""Small pictures of images, for people: read as the images are, and no bigger than a page needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.pixels import shrink

if TYPE_CHECKING:
    from airflow_midjourney.describe.images import ImageStore, ListedImage

MEDIA_TYPE: Final = "image/jpeg"

#: Pixels of the longer side: sharp on a card of a gallery.
SMALL: Final = 480

#: Pixels of the longer side on a page of its own.
LARGE: Final = 1280

#: Objects above this are not read for a picture, though they are described. API servers are not made for it.
MOST_BYTES: Final = 30 * 1024 * 1024

#: Images above this are not decoded for a picture.
MOST_PIXELS: Final = 50_000_000

_MOST_BYTES_SENT: Final = 400 * 1024


def thumbnail(images: ImageStore, image: ListedImage, side: int) -> bytes:
    """Read one version of an image and make a small JPEG of it, with nothing in it but pixels.

    :param images: opened with :data:`MOST_BYTES` as the most that it reads.
    :param image: the version; a newer one is never shown in its place.
    :param side: pixels of the longer side at most.
    :raises ImageRejectedError: there is no such version any more, or it cannot be shown.
    :raises SettingsError: it is outside ``allowed_uris``; nothing was read.
    :raises StorageError: S3 cannot be read.
    """
    stored = images.read(image)
    return shrink(
        stored.body,
        image_uri=image.uri,
        most_pixels=MOST_PIXELS,
        most_pixels_a_side=side,
        most_bytes=_MOST_BYTES_SENT,
    )
