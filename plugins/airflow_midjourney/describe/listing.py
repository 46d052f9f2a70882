"""Walking the listing of a batch: never far ahead of what can be submitted, and never the same page twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.errors import ImageRejectedError
from airflow_midjourney.describe.pixels import reader_fingerprint
from airflow_midjourney.describe.scope import Batch, Position
from airflow_midjourney.describe.table.batches import end_listing, move_listing, read_batch
from airflow_midjourney.describe.table.caps import submissions_left
from airflow_midjourney.describe.table.counts import count_open
from airflow_midjourney.describe.table.matching import Asker, compare_page, insert_missing, write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.crew import Worker
    from airflow_midjourney.describe.images import ListedImage
    from airflow_midjourney.describe.table.counts import OpenRows
    from airflow_midjourney.describe.table.database import Transaction

#: Pending rows that are enough: listing goes on when fewer are left.
LOOK_AHEAD: Final = 200

#: Pages walked before answers are asked for again.
PAGES_AT_ONCE: Final = 20

#: Explicit keys looked up side by side, and written in one go.
KEYS_AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class _Found:
    """One step of a listing.

    :param keys: keys seen, images or not.
    :param missing: explicit keys that have no object.
    :param then: where the next step starts; None at the end.
    """

    images: Sequence[ListedImage]
    keys: int
    then: Position | None
    missing: Sequence[str] = ()


async def list_further(worker: Worker, batch: Batch) -> None:
    """Bring more of the scope into the table, unless there is enough to submit already.

    :raises StorageError: when S3 refuses or is away.
    """
    for _ in range(PAGES_AT_ONCE):
        if batch.listing_ended_at is not None or not await worker.database.read(_goes_on, batch, worker.account):
            return
        found = await _next_step(worker, batch)
        batch = await worker.database.write(_write_step, batch, found)


def is_worth_listing(batch: Batch, open_rows: OpenRows, may_submit: int | None) -> bool:
    """Say whether a listing should go on now: while little is pending.

    At a cap, and for a plan, it goes on to its end, so that what is left over is known.

    :param may_submit: POSTs that may still be paid for, None without a cap.
    """
    return batch.options.plan_only or may_submit == 0 or open_rows.pending < LOOK_AHEAD


def _goes_on(tx: Transaction, batch: Batch, account: AccountSettings) -> bool:
    return is_worth_listing(batch, count_open(tx, batch), submissions_left(tx, batch, account))


async def _next_step(worker: Worker, batch: Batch) -> _Found:
    if batch.scope.keys:
        return await _look_up_keys(worker, batch)
    position = batch.position
    suffixes = batch.options.suffixes
    page = await asyncio.to_thread(
        worker.images.list_page,
        batch.scope.bucket,
        batch.scope.prefixes[position.source],
        after=position.after,
        suffixes=None if suffixes is None else frozenset(suffixes),
    )
    if not page.is_last and page.last_key is not None:
        return _Found(page.images, page.seen, Position(position.source, page.last_key))
    following = position.source + 1
    return _Found(page.images, page.seen, Position(following) if following < batch.sources else None)


async def _look_up_keys(worker: Worker, batch: Batch) -> _Found:
    start = batch.position.source
    keys = sorted(set(batch.scope.keys))
    chunk = keys[start : start + KEYS_AT_ONCE]
    results = await asyncio.gather(*(asyncio.to_thread(_look_up, worker, batch.scope.bucket, key) for key in chunk))
    following = start + len(chunk)
    return _Found(
        images=[image for image in results if image is not None],
        keys=len(chunk),
        then=Position(following) if following < len(keys) else None,
        missing=[key for key, image in zip(chunk, results, strict=True) if image is None],
    )


def _look_up(worker: Worker, bucket: str, key: str) -> ListedImage | None:
    try:
        return worker.images.look_up(bucket, key)
    except ImageRejectedError:
        return None


def _write_step(tx: Transaction, batch: Batch, found: _Found) -> Batch:
    """Write one step and move on, in one transaction; a step that somebody else has written counts once."""
    asker = Asker(
        batch.batch_id, batch.scope.bot_type, reader_fingerprint(), batch.options.redescribe, batch.started_at
    )
    comparison = compare_page(tx, found.images, asker)
    listed = comparison.listed(found.keys, missing=len(found.missing))
    mine = move_listing(tx, batch.batch_id, batch.position, found.then or batch.position, listed)
    if mine and not batch.options.plan_only:
        write_page(tx, comparison, asker)
        insert_missing(tx, batch.scope.bucket, found.missing, asker)
    if mine and found.then is None:
        end_listing(tx, batch.batch_id)
    return read_batch(tx, batch.batch_id)
