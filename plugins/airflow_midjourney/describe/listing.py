"""Walking the listing of a batch: never far ahead of what can be submitted, and never the same page twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.found import Found, look_up_keys
from airflow_midjourney.describe.manifest_listing import next_of_manifest
from airflow_midjourney.describe.pixels import reader_fingerprint
from airflow_midjourney.describe.scope import Batch, Position
from airflow_midjourney.describe.table.batches import end_listing, move_listing, read_batch
from airflow_midjourney.describe.table.caps import submissions_left
from airflow_midjourney.describe.table.counts import count_open
from airflow_midjourney.describe.table.matching import Asker, compare_page, insert_missing, write_page
from airflow_midjourney.describe.table.members import add_members

if TYPE_CHECKING:
    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.crew import Worker
    from airflow_midjourney.describe.table.counts import OpenRows
    from airflow_midjourney.describe.table.database import Transaction

#: Pending rows that are enough: listing goes on when fewer are left.
LOOK_AHEAD: Final = 200

#: Pages walked before answers are asked for again.
PAGES_AT_ONCE: Final = 20

#: Explicit keys looked up side by side, and written in one go.
KEYS_AT_ONCE: Final = 50


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


async def _next_step(worker: Worker, batch: Batch) -> Found:
    if batch.scope.keys:
        return await _next_keys(worker, batch)
    if batch.scope.manifest:
        return await next_of_manifest(worker, batch)
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
        return Found(page.images, page.seen, Position(position.source, page.last_key))
    following = position.source + 1
    return Found(page.images, page.seen, Position(following) if following < batch.sources else None)


async def _next_keys(worker: Worker, batch: Batch) -> Found:
    start = batch.position.source
    keys = sorted(set(batch.scope.keys))
    chunk = keys[start : start + KEYS_AT_ONCE]
    following = start + len(chunk)
    then = Position(following) if following < len(keys) else None
    images, missing = await look_up_keys(worker, batch.scope.bucket, chunk)
    return Found(images, len(chunk), then, missing)


def _write_step(tx: Transaction, batch: Batch, found: Found) -> Batch:
    """Write one step and move on, in one transaction; a step that somebody else has written counts once."""
    asker = Asker(
        batch_id=batch.batch_id,
        bot_type=batch.scope.bot_type,
        reader=reader_fingerprint(),
        redescribe=batch.options.redescribe,
        started_at=batch.started_at,
        origin=batch.origin,
    )
    comparison = compare_page(tx, found.images, asker)
    listed = replace(comparison.listed(found.keys, missing=len(found.missing)), bad_lines=found.bad_lines)
    mine = move_listing(tx, batch.batch_id, batch.position, found.then or batch.position, listed)
    if mine and not batch.options.plan_only:
        write_page(tx, comparison, asker)
        insert_missing(tx, batch.scope.bucket, found.missing, asker)
        if batch.scope.manifest:
            add_members(tx, batch, found.named)
    if mine and found.then is None:
        end_listing(tx, batch.batch_id)
    return read_batch(tx, batch.batch_id)
