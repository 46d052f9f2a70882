"""What one step of a listing finds, and looking keys up one by one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_midjourney.describe.errors import ImageRejectedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.crew import Worker
    from airflow_midjourney.describe.images import ListedImage
    from airflow_midjourney.describe.scope import Position


@dataclass(frozen=True, slots=True)
class Found:
    """One step of a listing.

    :param keys: keys seen, images or not.
    :param missing: named keys that have no object.
    :param bad_lines: lines of a manifest that name no image.
    :param then: where the next step starts; None at the end.
    """

    images: Sequence[ListedImage]
    keys: int
    then: Position | None
    missing: Sequence[str] = ()
    bad_lines: int = 0

    @property
    def named(self) -> list[str]:
        """The keys of the images and of what is missing."""
        return [*(image.key for image in self.images), *self.missing]


async def look_up_keys(worker: Worker, bucket: str, keys: Sequence[str]) -> tuple[list[ListedImage], list[str]]:
    """Look keys up side by side.

    :return: the objects, and the keys that have none.
    :raises StorageError: when S3 refuses or is away.
    """
    results = await asyncio.gather(*(asyncio.to_thread(_look_up, worker, bucket, key) for key in keys))
    found = [image for image in results if image is not None]
    return found, [key for key, image in zip(keys, results, strict=True) if image is None]


def _look_up(worker: Worker, bucket: str, key: str) -> ListedImage | None:
    try:
        return worker.images.look_up(bucket, key)
    except ImageRejectedError:
        return None
