"""Listing what a manifest names, a page at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.named_keys import Found, LookedUp, look_up_keys
from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import ManifestError
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.storage.manifest.reader import EXAMPLES, ManifestReader, first_line
from airflow_midjourney.describe.storage.objects import ListedImage
from airflow_midjourney.describe.table.batches import disputed_keys, restart_listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.storage.manifest.entries import Entry
    from airflow_midjourney.describe.storage.manifest.reader import ManifestPage

log = logging.getLogger(__name__)


async def next_of_manifest(worker: Worker, batch: Batch) -> Found:
    """Read the next page of a batch's manifest.

    :raises ManifestError: the manifest is not there, cannot be read, was replaced, or names nothing at all; then the
        next try lists it from the beginning.
    :raises StorageError: when S3 refuses or is away.
    """
    reader = worker.manifest
    if reader is None or (reader.uri, reader.bucket) != (batch.scope.manifest, batch.scope.bucket):
        reader = worker.manifest = ManifestReader(
            worker.images, batch.scope.manifest, batch.scope.bucket, worker.check_stop
        )
    try:
        page = await asyncio.to_thread(reader.read, batch.position)
        _tell_bad_lines(batch, page)
    except ManifestError:
        await worker.database.write(restart_listing, batch.batch_id, batch.position)
        raise
    entries = list({entry.key: entry for entry in page.entries}.values())
    found = await _look_up(worker, batch, _wanted(entries, page, batch.options.suffixes))
    if batch.position == Position():
        reader.none_exists = True
    reader.none_exists = reader.none_exists and not (found.images or found.denied or page.is_inventory)
    if found.missing and reader.none_exists and page.then is None:
        await _refuse_a_list_of_nothing(worker, batch, found.missing)
    return Found(found.images, len(entries), page.then, found.missing, found.denied, len(page.bad))


async def _refuse_a_list_of_nothing(worker: Worker, batch: Batch, missing: Sequence[str]) -> None:
    """Refuse a manifest at its end if not one key of it exists: then it is written otherwise than it was read.

    :param missing: the keys of its last page.
    :raises ManifestError: none exists; the next try lists it from the beginning.
    """
    quoted = await asyncio.to_thread(first_line, worker.images, batch.scope.manifest)
    await worker.database.write(restart_listing, batch.batch_id, batch.position)
    raise ManifestError(
        f"Not one of the {batch.listed.keys + len(missing):,} objects that the manifest {batch.scope.manifest!r} names"
        f" exists in s3://{batch.scope.bucket}. Its first line is {quoted!r}; one of the keys that were read is"
        f" {missing[0]!r}. One key as S3 has it, or one s3:// URI, a line is expected, or CSV with a column named key."
    )


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


async def _look_up(worker: Worker, batch: Batch, entries: list[Entry]) -> LookedUp:
    """Give the objects of entries, and the keys that have none; S3 is asked where the entries do not say enough."""
    told = [image for entry in entries if (image := _told(entry, batch.scope.bucket)) is not None]
    disputed = await worker.database.read(disputed_keys, told, batch.scope.bot_type)
    sure = [image for image in told if storable(image.key) not in disputed]
    known = {image.key for image in sure}
    unsure = [entry.key for entry in entries if entry.key not in known]
    found = await look_up_keys(worker, batch.scope.bucket, unsure)
    return replace(found, images=sorted([*sure, *found.images], key=lambda image: image.key))


def _told(entry: Entry, bucket: str) -> ListedImage | None:
    if entry.facts is None:
        return None
    facts = entry.facts
    return ListedImage(bucket, entry.key, facts.etag, facts.size_bytes, facts.last_modified, facts.storage_class)
