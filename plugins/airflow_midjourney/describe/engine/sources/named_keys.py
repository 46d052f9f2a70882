"""Keys that are named one by one: looked up side by side, and what one step of a listing found."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.errors import (
    ImageRejectedError,
    ObjectDeniedError,
    SettingsError,
    StorageDeniedError,
)
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.table.matching import UnreadKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.batch import Position

#: So many keys that are all denied, and none that could be looked up, are the fault of the credentials.
DENIED_TOGETHER: Final = 10


@dataclass(frozen=True, slots=True)
class Found:
    """One step of a listing.

    :param keys: keys seen, images or not.
    :param then: where the next step starts; None at the end.
    :param missing: named keys that have no object.
    :param denied: named keys whose objects may not be read.
    :param bad_lines: lines of a manifest that name no image.
    :param is_counted: False where a walk passes again what was counted before.
    """

    images: Sequence[ListedImage]
    keys: int
    then: Position | None
    missing: Sequence[str] = ()
    denied: Sequence[UnreadKey] = ()
    bad_lines: int = 0
    is_counted: bool = True

    @property
    def named(self) -> list[str]:
        """The keys of the images and of what cannot be read."""
        return [*(image.key for image in self.images), *self.missing, *(one.key for one in self.denied)]


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What became of keys.

    :param images: the objects.
    :param missing: keys that have none.
    :param denied: keys whose objects may not be read.
    """

    images: list[ListedImage]
    missing: list[str]
    denied: list[UnreadKey]


async def look_up_keys(worker: Worker, bucket: str, keys: Sequence[str]) -> LookedUp:
    """Look keys up side by side.

    :raises StorageError: when S3 refuses all of them, or is away.
    :raises StoppedError: the worker stops.
    """
    results = await asyncio.gather(*(asyncio.to_thread(_look_up, worker, bucket, key) for key in keys))
    images = [found for found in results if isinstance(found, ListedImage)]
    errors = [found for found in results if isinstance(found, ObjectDeniedError)]
    if not images and len(errors) >= DENIED_TOGETHER:
        raise StorageDeniedError(
            f"Not one of {len(keys)} keys could be looked up. The first: {errors[0]}",
            http_status=errors[0].http_status,
            code=errors[0].code,
        )
    return LookedUp(
        images,
        [key for key, found in zip(keys, results, strict=True) if found is None],
        [_unread(key, found) for key, found in zip(keys, results, strict=True) if isinstance(found, _DENIALS)],
    )


_DENIALS = (ObjectDeniedError, SettingsError)


def _look_up(worker: Worker, bucket: str, key: str) -> ListedImage | ObjectDeniedError | SettingsError | None:
    worker.check_stop()
    try:
        return worker.images.look_up(bucket, key)
    except ImageRejectedError:
        return None
    except ObjectDeniedError as error:
        return error
    except SettingsError as error:
        if worker.images.allows(f"s3://{bucket}/{key}"):
            raise
        return error


def _unread(key: str, error: ObjectDeniedError | SettingsError) -> UnreadKey:
    reason = Reason.DENIED if isinstance(error, ObjectDeniedError) else Reason.NOT_ALLOWED
    return UnreadKey(key, reason, str(error))
