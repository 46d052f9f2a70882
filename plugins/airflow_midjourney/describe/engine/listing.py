"""Walking the listing of a batch: never far ahead of what can be submitted, and never the same page twice."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.imaging.prepare import reader_fingerprint
from airflow_midjourney.describe.model.batch import Batch, Position
from airflow_midjourney.describe.model.errors import ImageRejectedError, ManifestError
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.storage.manifest.reader import EXAMPLES, ManifestReader
from airflow_midjourney.describe.storage.objects import ListedImage
from airflow_midjourney.describe.table.batches import (
    add_members,
    disputed_keys,
    end_listing,
    move_listing,
    read_batch,
    restart_listing,
)
from airflow_midjourney.describe.table.budgets import submissions_left
from airflow_midjourney.describe.table.counts import count_open
from airflow_midjourney.describe.table.matching import Asker, compare_page, insert_missing, write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.storage.manifest.entries import Entry
    from airflow_midjourney.describe.storage.manifest.reader import ManifestPage
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


async def next_of_manifest(worker: Worker, batch: Batch) -> Found:
    """Read the next page of a batch's manifest.

    :raises ManifestError: the manifest is not there, cannot be read, was replaced, or names nothing at all; then the
        next try lists it from the beginning.
    :raises StorageError: when S3 refuses or is away.
    """
    reader = worker.manifest
    if reader is None or (reader.uri, reader.bucket) != (batch.scope.manifest, batch.scope.bucket):
        reader = worker.manifest = ManifestReader(worker.images, batch.scope.manifest, batch.scope.bucket)
    try:
        page = await asyncio.to_thread(reader.read, batch.position)
        _tell_bad_lines(batch, page)
    except ManifestError:
        await worker.database.write(restart_listing, batch.batch_id, batch.position)
        raise
    entries = list({entry.key: entry for entry in page.entries}.values())
    images, missing = await _images(worker, batch, _wanted(entries, page, batch.options.suffixes))
    return Found(images, len(entries), page.then, missing, len(page.bad))


def _tell_bad_lines(batch: Batch, page: ManifestPage) -> None:
    """Log the first bad lines, and refuse a manifest that has no others.

    :raises ManifestError: at its end, if not one line named an image of the bucket that may be read.
    """
    for line in page.bad[: max(0, EXAMPLES - batch.listed.bad_lines)]:
        log.warning("The manifest %r: %s. It is passed over.", batch.scope.manifest, line)
    number = batch.listed.bad_lines + len(page.bad)
    if page.then is None and number and not batch.listed.keys and not page.entries:
        raise ManifestError(
            f"Not one line of the manifest {batch.scope.manifest!r} names an object of s3://{batch.scope.bucket} that"
            f" may be read: {number:,} bad lines, such as {'; '.join(page.examples)}. One key or s3:// URI a line is"
            " expected, or CSV with a column named key, or the manifest.json of an S3 Inventory."
        )


def _wanted(entries: list[Entry], page: ManifestPage, suffixes: Sequence[str] | None) -> list[Entry]:
    """Choose the images of an inventory, which lists all that there is; other manifests are taken at their word."""
    if not page.is_inventory:
        return entries
    files = [entry for entry in entries if not (entry.key.endswith("/") and entry.facts and not entry.facts.size_bytes)]
    return [entry for entry in files if suffixes is None or entry.key.lower().endswith(tuple(suffixes))]


async def _images(worker: Worker, batch: Batch, entries: list[Entry]) -> tuple[list[ListedImage], list[str]]:
    """Give the objects of entries, and the keys that have none; S3 is asked where the entries do not say enough."""
    told = [image for entry in entries if (image := _told(entry, batch.scope.bucket)) is not None]
    disputed = await worker.database.read(disputed_keys, told, batch.scope.bot_type)
    sure = [image for image in told if storable(image.key) not in disputed]
    known = {image.key for image in sure}
    unsure = [entry.key for entry in entries if entry.key not in known]
    found, missing = await look_up_keys(worker, batch.scope.bucket, unsure)
    return sorted([*sure, *found], key=lambda image: image.key), missing


def _told(entry: Entry, bucket: str) -> ListedImage | None:
    if entry.facts is None:
        return None
    facts = entry.facts
    return ListedImage(bucket, entry.key, facts.etag, facts.size_bytes, facts.last_modified, facts.storage_class)
