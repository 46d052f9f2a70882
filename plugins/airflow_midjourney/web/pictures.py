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
from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ImageRejectedError,
    ObjectDeniedError,
    ObjectUnavailableError,
    StorageError,
)
from airflow_midjourney.hooks.images import open_images_to_look
from airflow_midjourney.hooks.midjourney import MidjourneyHook

if TYPE_CHECKING:
    from airflow_midjourney.describe.queries.image import StoredObject
    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.storage.objects import ImageStore

#: Raise it when pictures of the same image come to look different.
_EDITION: Final = 1

#: Pictures that are made at once; two of them may decode. Airflow's own threads are left alone.
_AT_ONCE: Final = 4

#: Bytes of pictures that are kept in a process, for those who leaf back and forth.
_KEPT_BYTES: Final = 32 * 1024 * 1024

#: Seconds for which a client is kept, and for which S3 that cannot be read is left alone.
_CLIENT_KEPT: Final = 60.0

_LEFT_ALONE: Final = 30.0

#: So many objects of a bucket that are refused one after the other, and none given, are all of them.
REFUSED_IN_A_ROW: Final = 5

_AWAY: Final = "S3 cannot be read from here"

_NOT_THIS_ONE: Final = "may not be read from here"

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


@dataclass(frozen=True, slots=True)
class Source:
    """Where pictures come from: what is wrong with it is wrong for all of them."""

    connections: Connections
    bucket: str


class NoPictureError(Exception):
    """There is no picture, and why, in a few words for the reader of the page.

    :param words: these words.
    :param trouble: what is the same for all pictures that are missing for the same cause; empty where only one is.
    """

    def __init__(self, words: str, trouble: str = "") -> None:
        super().__init__(words)
        self.trouble = trouble


class NoPicturesError(NoPictureError):
    """There are no pictures at all from a source: a page says that once, for all of them."""


class Pictures:
    """Makes pictures and keeps the latest. One for the whole process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="midjourney-pictures")
        self._lock = threading.Lock()
        self._kept: LRUCache[str, bytes] = LRUCache(_KEPT_BYTES, getsizeof=len)
        self._stores: TTLCache[Connections, ImageStore] = TTLCache(32, _CLIENT_KEPT, time.monotonic)
        self._away: TTLCache[Source, bool] = TTLCache(128, _LEFT_ALONE, time.monotonic)
        self._refused: LRUCache[Source, int] = LRUCache(128)

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
        source = Source(connections, stored.image.bucket)
        with self._lock:
            is_away = source in self._away
        if is_away:
            raise NoPicturesError(_AWAY)
        try:
            store = self._store(connections)
        except DescribeError as error:
            raise self._none_from(source, error) from error
        return self._read(source, store, stored.image, side)

    def _read(self, source: Source, store: ImageStore, image: ListedImage, side: int) -> bytes:
        try:
            made = thumbnail(store, image, side)
        except ImageRejectedError as error:
            raise NoPictureError(_WORDS.get(error.reason, "cannot be shown")) from None
        except (ObjectDeniedError, ObjectUnavailableError) as error:
            raise self._refusal(source, error) from error
        except StorageError as error:
            raise self._none_from(source, error) from error
        except DescribeError as error:
            # Its own words name connections and objects, which are for administrators.
            raise NoPictureError(_NOT_THIS_ONE, _trouble(source, error)) from error
        with self._lock:
            self._refused.pop(source, None)
        return made

    def _none_from(self, source: Source, error: DescribeError) -> NoPicturesError:
        """Remember that a source gives nothing, and leave it alone for a while."""
        with self._lock:
            self._away[source] = True
        return NoPicturesError(_AWAY, _trouble(source, error))

    def _refusal(self, source: Source, error: DescribeError) -> NoPictureError:
        """Take a refusal for the object's own, unless it is one of several and none was given between them."""
        with self._lock:
            refused = self._refused[source] = self._refused.get(source, 0) + 1
        if refused >= REFUSED_IN_A_ROW:
            return self._none_from(source, error)
        return NoPictureError(_NOT_THIS_ONE, _trouble(source, error))

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


def _trouble(source: Source, error: DescribeError) -> str:
    """Name a trouble without the object at which it was met: a page of 48 pictures has it 48 times."""
    connections = source.connections
    return f"{connections.aws_conn_id} {connections.mj_conn_id} {source.bucket} {type(error).__name__} {error.code}"


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
