"""Walking the listing of a batch: never far ahead of what can be submitted, and never the same page twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
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

    The next page is fetched while one is compared.

    :raises StorageError: when S3 refuses or is away.
    """
    if batch.listing_ended_at is not None or not await worker.database.read(_goes_on, batch, worker.account):
        return
    step = _Step(batch, goes_on=True)
    ahead: asyncio.Task[Found] | None = None
    try:
        for left in reversed(range(PAGES_AT_ONCE)):
            found = await (ahead or _next_step(worker, step.batch))
            ahead = None
            if left and found.then is not None and batch.is_of_prefixes:
                ahead = asyncio.create_task(_next_page(worker, batch, found.then))
            step = await worker.database.write(_write_step, step.batch, worker.account, found)
            if not step.goes_on:
                return
            if ahead is not None and step.batch.position != found.then:
                # Somebody else is listing, too, and is further.
                await _drop(ahead)
                ahead = None
    finally:
        if ahead is not None:
            await _drop(ahead)


async def _drop(ahead: asyncio.Task[Found]) -> None:
    """Wait for a page that nobody needs: the thread that reads it cannot be stopped."""
    await asyncio.wait([ahead])
    if not ahead.cancelled():
        ahead.exception()


@dataclass(frozen=True, slots=True)
class _Step:
    """Where a listing stands.

    :param goes_on: whether there is more to list, and use for it now.
    """

    batch: Batch
    goes_on: bool


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
    return await _next_page(worker, batch, batch.position)


async def _next_page(worker: Worker, batch: Batch, position: Position) -> Found:
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


def _write_step(tx: Transaction, batch: Batch, account: AccountSettings, found: Found) -> _Step:
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
    now = read_batch(tx, batch.batch_id)
    return _Step(now, goes_on=now.listing_ended_at is None and _goes_on(tx, now, account))
