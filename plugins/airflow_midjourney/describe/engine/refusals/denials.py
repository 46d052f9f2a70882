"""Objects that S3 denies: each is put last and tried again; only where none can be read does the run stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.imaging.prepare import reader_fingerprint
from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ObjectDeniedError,
    ObjectUnavailableError,
    StorageDeniedError,
    StorageError,
    StorageUnavailableError,
)
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.storage.listed_images import ListedImage
from airflow_midjourney.describe.table import leases

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.leases import ReservedImage

#: So many different objects that are denied in a row raise the question whether any other can be read.
DENIED_IN_A_ROW: Final = 10

#: Other objects, far away in the scope, of which one has to be readable then.
PROBES: Final = 3

#: Reads of one object by one worker before its row says that it is denied.
READS: Final = 2

#: Seconds until an object is read again at which S3 failed; where it said no, waiting changes nothing.
_PAUSE_AFTER_FAILURE: Final = 10.0


@dataclass(slots=True)
class Denials:
    """What S3 has denied to one worker in one try.

    :param in_a_row: ids of the rows whose objects were denied since one was last read.
    :param reads: how often the object of a row was denied.
    :param lock: held while the worker finds out whether any other object can be read.
    :param anything_read: whether this worker has read any object.
    :param verdict: why the run stops; None while it goes on.
    """

    in_a_row: set[int] = field(default_factory=set)
    reads: Counter[int] = field(default_factory=Counter)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    anything_read: bool = False
    verdict: StorageError | None = None

    def note_read(self) -> None:
        """Note that an object was read, whatever is in it."""
        self.anything_read = True
        self.in_a_row.clear()

    def note_denied(self, image_id: int) -> None:
        """Note that S3 has denied the object of a row, or failed at it."""
        self.in_a_row.add(image_id)
        self.reads[image_id] += 1


async def turn_away(
    worker: Worker,
    batch: Batch,
    row: ReservedImage,
    error: ObjectDeniedError | ObjectUnavailableError,
    denials: Denials,
) -> None:
    """Decide about a reserved row whose object S3 denies, or fails at.

    The first time it is put last, so that it holds up no other; the second time the row ends as ``denied``.

    :param denials: what S3 has denied of such rows.
    :raises StorageError: ten different objects in a row were denied, and none of some others can be read; or S3 fails
        at an object, and has not given a single one in this try. Such rows are pending again.
    """
    denials.note_denied(row.id)
    async with denials.lock:
        stop = await _reason_to_stop(worker, batch, error, denials)
    final = denials.reads[row.id] >= READS
    if stop is None and final and isinstance(error, ObjectUnavailableError) and not denials.anything_read:
        stop = error
    if stop is None and final:
        reject = (row.id, worker.holder, Reason.DENIED, str(error), reader_fingerprint())
        await worker.database.write(leases.reject, *reject)
        return
    pause = _PAUSE_AFTER_FAILURE if isinstance(error, ObjectUnavailableError) else 0.0
    await worker.database.write(leases.put_last, row.id, worker.holder, pause)
    if stop is not None:
        raise stop


async def _reason_to_stop(worker: Worker, batch: Batch, error: StorageError, denials: Denials) -> StorageError | None:
    if denials.verdict is not None or len(denials.in_a_row) < DENIED_IN_A_ROW:
        return denials.verdict
    if await _can_read_another(worker, batch, denials):
        denials.note_read()
        return None
    message = f"S3 gave none of the latest {len(denials.in_a_row)} objects, and no other. The last: {error}"
    if isinstance(error, StorageUnavailableError):
        denials.verdict = StorageUnavailableError(
            message, retry_helps=True, http_status=error.http_status, code=error.code
        )
    else:
        denials.verdict = StorageDeniedError(message, http_status=error.http_status, code=error.code)
    return denials.verdict


async def _can_read_another(worker: Worker, batch: Batch, denials: Denials) -> bool:
    """Try a byte of some objects at the other end of the scope: a folder may be denied, and the rest not."""
    others = await worker.database.read(leases.furthest_pending, batch, list(denials.reads), PROBES)
    answers = await asyncio.gather(*(asyncio.to_thread(_is_readable, worker, row) for row in others))
    return any(answers)


def _is_readable(worker: Worker, row: ReservedImage) -> bool:
    try:
        return bool(worker.images.read_part(as_listed(row), 0, 1))
    except DescribeError:
        return False


def as_listed(row: ReservedImage) -> ListedImage:
    """Give the object of a row as a listing would."""
    return ListedImage(
        bucket=row.bucket,
        key=row.key,
        etag=row.etag,
        size_bytes=row.size_bytes,
        last_modified=row.last_modified,
        storage_class=row.storage_class,
        # An archived object may have been restored since it was listed; the read itself tells.
        restored=True,
    )
