"""Listing what a manifest names, a page at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.sources.named_keys import Found, LookedUp, look_up_keys
from airflow_midjourney.describe.model.batch import Position
from airflow_midjourney.describe.model.errors import ImageRejectedError, ManifestError, ObjectDeniedError
from airflow_midjourney.describe.model.text import presentable, storable
from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.storage.manifest.reader import EXAMPLES, ManifestReader, first_line
from airflow_midjourney.describe.storage.manifest.spellings import other_spellings
from airflow_midjourney.describe.table.batches import disputed_keys, restart_listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.storage.manifest.entries import Entry
    from airflow_midjourney.describe.storage.manifest.reader import ManifestPage

#: Keys at the beginning of a list that are looked up before the first of them becomes a row, while none exists.
LOOK_UPS_TO_DECIDE: Final = 1000

log = logging.getLogger(__name__)


async def next_of_manifest(worker: Worker, batch: Batch) -> Found:
    """Read the next page of a batch's manifest, and at its beginning as many as show that its objects exist.

    :raises ManifestError: the manifest is not there, cannot be read, was replaced, or names nothing that exists; then
        the next try lists it from the beginning.
    :raises StorageError: when S3 refuses or is away.
    """
    reader = worker.manifest
    if reader is None or (reader.uri, reader.bucket) != (batch.scope.manifest, batch.scope.bucket):
        reader = worker.manifest = ManifestReader(
            worker.images, batch.scope.manifest, batch.scope.bucket, worker.check_stop
        )
    nothing = Found((), batch.listed.keys, batch.position, bad_lines=batch.listed.bad_lines)
    page = await _read(worker, batch, reader, nothing)
    found = await _found(worker, batch, page)
    if batch.position != Position() or page.is_inventory:
        return found
    while found.then is not None and not _exists(found) and len(found.missing) < LOOK_UPS_TO_DECIDE:
        page = await _read(worker, batch, reader, found)
        found = _joined(found, await _found(worker, batch, page))
    if found.missing and not _exists(found):
        await _refuse_a_list_of_nothing(worker, batch, found.missing)
    return found


async def _read(worker: Worker, batch: Batch, reader: ManifestReader, before: Found) -> ManifestPage:
    """Read the page that follows what was found.

    :raises ManifestError: as :func:`next_of_manifest`.
    """
    try:
        page = await asyncio.to_thread(reader.read, before.then or Position())
        _tell_bad_lines(batch, page, before)
    except ManifestError:
        await worker.database.write(restart_listing, batch.batch_id, batch.position)
        raise
    return page


async def _found(worker: Worker, batch: Batch, page: ManifestPage) -> Found:
    entries = list({entry.key: entry for entry in page.entries}.values())
    found = await _look_up(worker, batch, _wanted(entries, page, batch.options.suffixes))
    return Found(found.images, len(entries), page.then, found.missing, found.denied, len(page.bad))


def _exists(found: Found) -> bool:
    return bool(found.images or found.denied)


def _joined(first: Found, second: Found) -> Found:
    """Take two pages as one, of which the first has nothing but keys without an object."""
    return replace(
        second,
        keys=first.keys + second.keys,
        missing=list(dict.fromkeys([*first.missing, *second.missing])),
        bad_lines=first.bad_lines + second.bad_lines,
    )


async def _refuse_a_list_of_nothing(worker: Worker, batch: Batch, missing: Sequence[str]) -> None:
    """Refuse a manifest of which nothing exists, before its keys become rows: it is written otherwise than it was read.

    :param missing: the keys that were looked up.
    :raises ManifestError: the next try lists it from the beginning.
    """
    quoted = await asyncio.to_thread(first_line, worker.images, batch.scope.manifest, worker.check_stop)
    await worker.database.write(restart_listing, batch.batch_id, batch.position)
    which = "objects" if len(missing) < LOOK_UPS_TO_DECIDE else "first objects"
    raise ManifestError(
        f"Not one of the {len(missing):,} {which} that the manifest {batch.scope.manifest!r} names exists in"
        f" s3://{batch.scope.bucket}, so no image was noted. Its first line is {quoted!r}; one of the keys that were"
        f" read is {missing[0]!r}. One key as S3 has it, or one s3:// URI, a line is expected, or CSV with a column"
        " named key."
    )


def _tell_bad_lines(batch: Batch, page: ManifestPage, before: Found) -> None:
    """Log the first bad lines, and refuse a manifest that has no others.

    :param before: the keys and bad lines before this page.
    :raises ManifestError: at its end, if not one line named an image of the bucket that may be read.
    """
    for line in page.bad[: max(0, EXAMPLES - before.bad_lines)]:
        log.warning("The manifest %r: %s. It is passed over.", batch.scope.manifest, line)
    number = before.bad_lines + len(page.bad)
    if page.then is None and number and not before.keys and not page.entries:
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
    found = await _look_up_spellings(worker, batch, found)
    return replace(found, images=sorted([*sure, *found.images], key=lambda image: image.key))


async def _look_up_spellings(worker: Worker, batch: Batch, found: LookedUp) -> LookedUp:
    """Take the objects that missing keys mean in another spelling, where there is exactly one of those."""
    bucket = batch.scope.bucket
    spellings = {key: spellings for key in found.missing if (spellings := other_spellings(key, bucket))}
    asked = sorted({spelling for several in spellings.values() for spelling in several})
    if not asked:
        return found
    objects = await asyncio.gather(*(asyncio.to_thread(_object, worker, bucket, key) for key in asked))
    there = {image.key: image for image in objects if image is not None}
    meant = {
        key: candidates[0]
        for key, several in spellings.items()
        if len(candidates := [there[one] for one in several if one in there]) == 1
    }
    if meant:
        key, image = next(iter(meant.items()))
        log.warning(
            "The manifest %r: %d key(s) have no object as they are written, and one in another spelling, which is"
            " taken: %r for %r.",
            batch.scope.manifest,
            len(meant),
            presentable(image.key),
            presentable(key),
        )
    images = {image.key: image for image in (*meant.values(), *found.images)}
    return replace(found, images=list(images.values()), missing=[key for key in found.missing if key not in meant])


def _object(worker: Worker, bucket: str, key: str) -> ListedImage | None:
    """Look up a key that no line says in so many letters: what keeps it from being read makes it no candidate."""
    worker.check_stop()
    try:
        return worker.images.look_up(bucket, key) if worker.images.allows(f"s3://{bucket}/{key}") else None
    except (ImageRejectedError, ObjectDeniedError):
        return None


def _told(entry: Entry, bucket: str) -> ListedImage | None:
    if entry.facts is None:
        return None
    facts = entry.facts
    return ListedImage(bucket, entry.key, facts.etag, facts.size_bytes, facts.last_modified, facts.storage_class)
