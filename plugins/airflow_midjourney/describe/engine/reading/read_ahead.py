"""Reading the next images while all slots are taken, so that on the heels of an answer only the POST remains.

An image is leased while it is read and decoded, like any other, and given back when it is ready: what waits here holds
no lease, no slot and no budget. Its turn comes as if it had not been read, and the worker that has room for it
reserves, claims and posts it. Having it in memory saves this worker the reading; a worker that dies loses that alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.group_commit import Gathered
from airflow_midjourney.describe.engine.reading.image_reader import LINGER, TOGETHER, ImageReader
from airflow_midjourney.describe.imaging.prepare import reader_fingerprint
from airflow_midjourney.describe.model.errors import DescribeError, ImageRejectedError
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.engine.reading.image_reader import ReadyImage
    from airflow_midjourney.describe.table.leases import ReservedImage

#: Images that are ready at most, however many slots there are.
MOST_READY: Final = 64

#: Bytes, as they are sent, of all that are ready at most.
MOST_READY_BYTES: Final = 64 * 1024 * 1024

#: Objects that are read ahead at once.
SIDE_BY_SIDE: Final = 2

log = logging.getLogger(__name__)


class ReadAhead:
    """What one worker has read ahead of the room for it, of one batch. Belongs to one event loop."""

    def __init__(self) -> None:
        self._ready: dict[int, _Ahead] = {}
        self._passed_over: set[int] = set()
        self._reading: _Reading | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def given_back(self) -> asyncio.Event | None:
        """Set once no row is leased to be read ahead; None where none is."""
        return None if self._task is None or self._task.done() or self._reading is None else self._reading.given_back

    @property
    def ready_images(self) -> int:
        """How many images are ready to be sent."""
        return len(self._ready)

    @property
    def ready_bytes(self) -> int:
        """How many bytes they have, as they are sent."""
        return sum(one.size for one in self._ready.values())

    async def begin(self, worker: Worker, progress: Progress) -> None:
        """Read the next images in the background, if a free slot is all that is missing to send them."""
        if self.given_back is not None:
            return
        number = _worth_reading(worker, progress)
        following = await worker.database.read(leases.find_unread, progress.batch, number) if number else []
        # What another worker has sent meanwhile is not needed any more.
        self._ready = {number: one for number, one in self._ready.items() if number in following}
        wanted = [one for one in following if one not in self._ready and one not in self._passed_over]
        if not wanted or self.ready_bytes >= MOST_READY_BYTES:
            return
        holder = f"{worker.holder}-ahead"
        rows = await worker.database.write(leases.reserve_these, progress.batch, wanted, holder)
        self._reading = _Reading(self, worker, progress, holder, rows)
        self._task = asyncio.create_task(self._reading.run())

    async def end(self) -> None:
        """Read nothing more, give back what is leased and forget what is ready."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        self._ready.clear()

    async def take(self, worker: Worker, row: ReservedImage) -> ReadyImage | None:
        """Give a reserved image that was read ahead; None where it has to be read, if its object has changed, say."""
        ahead = self._ready.pop(row.id, None)
        if ahead is None:
            return None
        try:
            now = await asyncio.to_thread(worker.images.look_up, row.bucket, row.key)
        except DescribeError:
            # Reading it tells why, and what that means for the row.
            return None
        return ahead.image if row.etag == ahead.etag == now.etag else None

    def keep(self, row: ReservedImage, image: ReadyImage) -> None:
        """Have an image ready for its turn, unless all that are ready would be too large together."""
        ahead = _Ahead(row.etag, image)
        if self.ready_bytes + ahead.size <= MOST_READY_BYTES:
            self._ready[row.id] = ahead
        else:
            self.pass_over(row)

    def pass_over(self, row: ReservedImage) -> None:
        """Leave an image to its turn from now on."""
        self._passed_over.add(row.id)


@dataclass(frozen=True, slots=True)
class _Ahead:
    """An image that is ready, and the ETag of the object as it was read."""

    etag: str
    image: ReadyImage

    @property
    def size(self) -> int:
        return len(self.image.prepared.data_uri)


class _Reading:
    """Rows that are leased to be read ahead, until all of them are given back."""

    def __init__(
        self, ahead: ReadAhead, worker: Worker, progress: Progress, holder: str, rows: Sequence[ReservedImage]
    ) -> None:
        self._ahead = ahead
        self._worker = worker
        self._holder = holder
        self._all = [row.id for row in rows]
        self._left = deque(rows)
        self._reader = ImageReader(worker, holder, strip_metadata=progress.batch.options.strip_metadata)
        self._releases = Gathered(self._release_some, at_most=TOGETHER, linger=LINGER)
        self.given_back = asyncio.Event()

    async def run(self) -> None:
        """Read them side by side. What goes wrong with the store or the database is left to the images' own turn."""
        try:
            lanes = [self._read_one_after_another() for _ in range(SIDE_BY_SIDE)]
            ends = await asyncio.gather(*lanes, return_exceptions=True)
        finally:
            with suppress(DescribeError):
                await self._worker.database.write(leases.release, self._all, self._holder)
            self.given_back.set()
        ahead = self._ahead
        log.debug("%d image(s) of %d bytes are ready for their turn", ahead.ready_images, ahead.ready_bytes)
        for end in ends:
            if isinstance(end, BaseException) and not isinstance(end, DescribeError):
                raise end

    async def _read_one_after_another(self) -> None:
        while self._left and not self._worker.stopping and self._ahead.ready_bytes < MOST_READY_BYTES:
            await self._read(self._left.popleft())

    async def _read(self, row: ReservedImage) -> None:
        try:
            image = await self._reader.read(row)
        except ImageRejectedError as error:
            facts = Reason(error.reason), str(error), reader_fingerprint()
            await self._worker.database.write(leases.reject, row.id, self._holder, *facts)
            return
        except DescribeError:
            self._ahead.pass_over(row)
            raise
        self._ahead.keep(row, image)
        await self._releases(row)

    async def _release_some(self, rows: Sequence[ReservedImage]) -> Sequence[None]:
        await self._worker.database.write(leases.release, [row.id for row in rows], self._holder)
        return [None] * len(rows)


def _worth_reading(worker: Worker, progress: Progress) -> int:
    """Give how many images should be ready: as many as may be sent once all slots are free, and none in vain."""
    account, left = progress.account, progress.submissions_left
    may_send = worker.access_checked and not worker.stopping and not progress.batch.options.plan_only
    only_full = progress.room == 0 and not account.is_blocked and account.blocked_reason is None
    if not may_send or not only_full or progress.opening is not None:
        return 0
    most = min(progress.open.claimable, worker.account.max_in_flight, MOST_READY)
    return most if left is None else min(most, left)
