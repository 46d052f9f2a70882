"""Pictures for the pages: read from S3 as the workers read images, made small, a few at a time.

A picture is asked for by the number of its row. Bucket, key and version are those of the row, connections those of its
batch.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cachetools import LRUCache, TTLCache

from airflow_midjourney.describe.imaging.prepare import shrink
from airflow_midjourney.describe.model.errors import DescribeError, ImageRejectedError, StorageUnavailableError
from airflow_midjourney.hooks.images import open_images_to_look
from airflow_midjourney.hooks.midjourney import MidjourneyHook

if TYPE_CHECKING:
    from airflow_midjourney.describe.queries.image import StoredObject
    from airflow_midjourney.describe.storage.objects import ImageStore, ListedImage

#: Raise it when pictures of the same image come to look different.
_EDITION: Final = 1

#: Pictures that are made at once; two of them may decode. Airflow's own threads are left alone.
_AT_ONCE: Final = 4

#: Bytes of pictures that are kept in a process, for those who leaf back and forth.
_KEPT_BYTES: Final = 32 * 1024 * 1024

#: Seconds for which a client is kept, and for which S3 that did not answer is left alone.
_CLIENT_KEPT: Final = 60.0

_LEFT_ALONE: Final = 30.0

_AWAY: Final = "S3 cannot be reached from here"

#: What is said where a picture would be.
_WORDS: Final = {
    "archived": "archived",
    "corrupt": "not a whole image",
    "denied": "may not be read",
    "empty": "empty",
    "missing": "not there any more",
    "not_allowed": "may not be read from here",
    "replaced": "replaced since",
    "too_large": "too large to show",
    "unsupported_format": "not an image that can be shown",
}

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


@dataclass(frozen=True, slots=True)
class Connections:
    """Through which connections a batch reads its images."""

    aws_conn_id: str
    mj_conn_id: str
    requester_pays: bool


class NoPictureError(Exception):
    """There is no picture, and why, in a few words for the reader of the page."""


class NoPicturesError(NoPictureError):
    """There are no pictures at all over a connection: a page says that once, for all of them."""


class Pictures:
    """Makes pictures and keeps the latest. One for the whole process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="midjourney-pictures")
        self._lock = threading.Lock()
        self._kept: LRUCache[str, bytes] = LRUCache(_KEPT_BYTES, getsizeof=len)
        self._stores: TTLCache[Connections, ImageStore] = TTLCache(32, _CLIENT_KEPT, time.monotonic)
        self._troubles: TTLCache[Connections, str] = TTLCache(32, _LEFT_ALONE, time.monotonic)

    async def get(self, stored: StoredObject, side: int) -> bytes:
        """Give the picture of an image.

        :raises NoPictureError: if there is none.
        """
        name = tag(stored, side)
        with self._lock:
            kept: bytes | None = self._kept.get(name)
        if kept is not None:
            return kept
        made = await asyncio.get_running_loop().run_in_executor(self._threads, self._make, stored, side)
        with self._lock:
            self._kept[name] = made
        return made

    def _make(self, stored: StoredObject, side: int) -> bytes:
        options = stored.options
        connections = Connections(options.aws_conn_id, options.mj_conn_id, options.requester_pays)
        with self._lock:
            trouble = self._troubles.get(connections)
        if trouble is not None:
            raise NoPicturesError(trouble)
        try:
            return thumbnail(self._store(connections), stored.image, side)
        except ImageRejectedError as error:
            raise NoPictureError(_WORDS.get(error.reason, "cannot be shown")) from None
        except StorageUnavailableError as error:
            self._remember(connections, _AWAY)
            raise NoPicturesError(_AWAY) from error
        except DescribeError as error:
            # Its own words name connections and objects, which are for administrators.
            raise NoPictureError("may not be read from here") from error

    def _store(self, connections: Connections) -> ImageStore:
        with self._lock:
            found: ImageStore | None = self._stores.get(connections)
        if found is None:
            found = open_images_to_look(
                connections.aws_conn_id,
                requester_pays=connections.requester_pays,
                allowed_uris=MidjourneyHook(connections.mj_conn_id).extra().allowed_uris,
                max_bytes=MOST_BYTES,
            )
            with self._lock:
                self._stores[connections] = found
        return found

    def _remember(self, connections: Connections, trouble: str) -> None:
        with self._lock:
            self._troubles[connections] = trouble


def tag(stored: StoredObject, side: int) -> str:
    """Give a text that is the same as long as the picture is."""
    image = stored.image
    facts = f"{image.uri}\n{image.etag}\n{side}\n{_EDITION}"
    return hashlib.sha256(facts.encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
