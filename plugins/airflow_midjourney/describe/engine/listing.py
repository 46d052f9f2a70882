"""Walking the listing of a batch: never far ahead of what can be submitted, and never the same page twice."""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.context import StoppedError
from airflow_midjourney.describe.engine.sources.manifest import next_of_manifest
from airflow_midjourney.describe.engine.sources.named_keys import Found, look_up_keys
from airflow_midjourney.describe.imaging.prepare import reader_fingerprint
from airflow_midjourney.describe.model.batch import Listed, Position
from airflow_midjourney.describe.storage.listing import PrefixListing, UnorderedListingError
from airflow_midjourney.describe.table.batches import (
    add_members,
    end_listing,
    move_listing,
    read_batch,
    restart_listing,
)
from airflow_midjourney.describe.table.budgets import submissions_left
from airflow_midjourney.describe.table.counts import count_open
from airflow_midjourney.describe.table.matching import (
    Asker,
    compare_page,
    insert_denied,
    insert_missing,
    write_page,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.counts import OpenRows
    from airflow_midjourney.describe.table.database import Transaction

#: Pending rows that are enough: listing goes on when fewer are left.
LOOK_AHEAD: Final = 200

#: Pages walked before answers are asked for again.
PAGES_AT_ONCE: Final = 20

#: Explicit keys looked up side by side, and written in one go.
KEYS_AT_ONCE: Final = 50

log = logging.getLogger(__name__)


async def list_further(worker: Worker, batch: Batch) -> None:
    """Bring more of the scope into the table, unless there is enough to submit already.

    The next page is fetched while one is compared. A worker that stops breaks off, and what is written is remembered.

    :raises StorageError: when S3 refuses or is away, or its listing makes no sense.
    """
    if batch.listing_ended_at is not None or not await worker.database.read(_goes_on, batch, worker.account):
        return
    try:
        with suppress(StoppedError):
            await _Walker(worker, batch).walk()
    except UnorderedListingError as error:
        await _walk_instead(worker, batch, error)


async def _walk_instead(worker: Worker, batch: Batch, error: UnorderedListingError) -> None:
    """List all prefixes of a batch from their beginning, by what the server itself says comes next."""
    now = await worker.database.read(read_batch, batch.batch_id)
    if now.position.pages is not None:
        return
    log.warning(
        "Listing %s: %s %s, so it is not in the order of keys. All its pages are walked by continuation token, from the"
        " beginning; a try that is interrupted meanwhile begins that walk anew, and submits nothing twice.",
        batch.scope.describe(),
        worker.images.server,
        error,
    )
    await worker.database.write(restart_listing, batch.batch_id, now.position, Position.walked(0))


class _Walker:
    """Some pages of a listing, one after the other."""

    def __init__(self, worker: Worker, batch: Batch) -> None:
        self._worker = worker
        self._step = _Step(batch, goes_on=True)
        self._ahead: asyncio.Task[Found] | None = None

    async def walk(self) -> None:
        """Go on until there is enough for now.

        :raises UnorderedListingError: the server has an order of its own, and the batch does not know yet.
        """
        try:
            with _forgotten_on_failure(self._worker):
                for left in reversed(range(PAGES_AT_ONCE)):
                    await self._take_page(may_look_ahead=left > 0)
                    if not self._step.goes_on:
                        return
        finally:
            if self._ahead is not None:
                await _drop(self._ahead)

    async def _take_page(self, *, may_look_ahead: bool) -> None:
        worker = self._worker
        worker.check_stop()
        ahead, self._ahead = self._ahead, None
        found = await (ahead or _next_step(worker, self._step.batch))
        if may_look_ahead and found.then is not None and self._step.batch.is_of_prefixes:
            self._look_ahead(found.then)
        self._step = await worker.database.write(_write_step, self._step.batch, worker.account, found)
        if self._ahead is not None and self._step.goes_on and self._step.batch.position != found.then:
            # Another worker is listing, too, and is further.
            ahead, self._ahead = self._ahead, None
            await _drop(ahead)

    def _look_ahead(self, position: Position) -> None:
        # Each page of a walk has to be written: there is no way back to one that was left out.
        if position.pages is None:
            self._ahead = asyncio.create_task(_next_page(self._worker, self._step.batch, position))


@contextmanager
def _forgotten_on_failure(worker: Worker) -> Iterator[None]:
    """Let go of a listing when a page of it may not have been written."""
    try:
        yield
    except BaseException:
        worker.listing = None
        raise


async def _drop(ahead: asyncio.Task[Found]) -> None:
    """Wait for a page that is no longer needed: the thread that reads it cannot be stopped."""
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

    At a cap, and for a plan, it goes on to its end, so that what is left over is known. So does a walk, which could not
    go on from the middle.

    :param may_submit: POSTs that may still be paid for, None without a cap.
    """
    if batch.options.plan_only or batch.position.pages is not None:
        return True
    return may_submit == 0 or open_rows.pending < LOOK_AHEAD


def _goes_on(tx: Transaction, batch: Batch, account: AccountSettings) -> bool:
    return is_worth_listing(batch, count_open(tx, batch), submissions_left(tx, batch, account))


async def _next_step(worker: Worker, batch: Batch) -> Found:
    if batch.scope.keys:
        return await _next_keys(worker, batch)
    if batch.scope.manifest:
        return await next_of_manifest(worker, batch)
    return await _next_page(worker, batch, batch.position)


async def _next_page(worker: Worker, batch: Batch, position: Position) -> Found:
    listing = _open_listing(worker, batch, position.source)
    page = await asyncio.to_thread(listing.read, position)
    if page.then is not None:
        return Found(page.images, page.seen, page.then, is_counted=page.is_counted)
    worker.listing = None
    following = position.source + 1
    then = None
    if following < batch.sources:
        then = Position(following) if position.pages is None else Position.walked(following)
    return Found(page.images, page.seen, then, is_counted=page.is_counted)


def _open_listing(worker: Worker, batch: Batch, source: int) -> PrefixListing:
    """Give the listing that the worker is at, or begin one."""
    scope, suffixes = batch.scope, batch.options.suffixes
    listing, prefix = worker.listing, scope.prefixes[source]
    if listing is None or (listing.bucket, listing.prefix, listing.source) != (scope.bucket, prefix, source):
        wanted = None if suffixes is None else frozenset(suffixes)
        listing = worker.listing = PrefixListing(worker.images, scope.bucket, prefix, source, wanted)
    return listing


async def _next_keys(worker: Worker, batch: Batch) -> Found:
    start = batch.position.source
    keys = sorted(set(batch.scope.keys))
    chunk = keys[start : start + KEYS_AT_ONCE]
    following = start + len(chunk)
    then = Position(following) if following < len(keys) else None
    found = await look_up_keys(worker, batch.scope.bucket, chunk)
    return Found(found.images, len(chunk), then, found.missing, found.denied)


def _write_step(tx: Transaction, batch: Batch, account: AccountSettings, found: Found) -> _Step:
    """Write one step and move on, in one transaction; a step that another worker has written counts once."""
    asker = Asker(
        batch_id=batch.batch_id,
        bot_type=batch.scope.bot_type,
        reader=reader_fingerprint(),
        redescribe=batch.options.redescribe,
        started_at=batch.started_at,
        origin=batch.origin,
    )
    comparison = compare_page(tx, found.images, asker)
    unread = len(found.missing) + len(found.denied)
    listed = replace(comparison.listed(found.keys, missing=unread), bad_lines=found.bad_lines)
    if not found.is_counted:
        listed = Listed()
    mine = move_listing(tx, batch.batch_id, batch.position, found.then or batch.position, listed)
    # Each worker has a walk of its own, whose pages need not be those of another's.
    if (mine or batch.position.pages is not None) and not batch.options.plan_only:
        write_page(tx, comparison, asker)
        insert_missing(tx, batch.scope.bucket, found.missing, asker)
        insert_denied(tx, batch.scope.bucket, found.denied, asker)
        if batch.scope.manifest:
            add_members(tx, batch, found.named)
    if mine and found.then is None:
        end_listing(tx, batch.batch_id)
    now = read_batch(tx, batch.batch_id)
    return _Step(now, goes_on=now.listing_ended_at is None and _goes_on(tx, now, account))
