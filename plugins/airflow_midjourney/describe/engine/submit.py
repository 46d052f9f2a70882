"""Submitting some images of a batch: reserved in one go, and sent side by side."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.probe import end_turn, take_turn
from airflow_midjourney.describe.engine.send import ImageSender
from airflow_midjourney.describe.model.errors import ServiceUnavailableError
from airflow_midjourney.describe.table import accounts, leases
from airflow_midjourney.describe.table.budgets import submissions_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.refusals.denials import Denials
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.leases import ReservedImage

#: Images that one worker reads, encodes and sends side by side.
IMAGES_SIDE_BY_SIDE: Final = 16

#: Rows that are reserved at once, so that one query and one write for all of them take little of the time.
ROWS_A_ROUND: Final = 64


async def submit_some(worker: Worker, batch: Batch) -> int:
    """Submit as many images of the batch as the account has room for, for as long as answers can wait.

    :return: how many images were read, whatever came of them.
    :raises DescribeError: when the service or S3 refuses access; POSTs on their way are finished first, and
        images not sent are pending again.
    """
    limit = await worker.database.read(find_room, worker.account, batch)
    # No row is reserved before the service has answered: a worker that is killed while it hangs says nothing about
    # an image, and must not leave a reservation that counts against one.
    if limit == 0 or not await _may_submit(worker, batch) or not await take_turn(worker):
        return 0
    rows = await worker.database.write(leases.reserve, batch, worker.holder, min(limit, ROWS_A_ROUND))
    return await Round(worker, batch, rows, worker.denials).run()


class Round:
    """Reserved rows that are sent side by side, until one of them says that there is no point in going on.

    :param denials: what S3 has denied of such rows.
    """

    def __init__(self, worker: Worker, batch: Batch, rows: Sequence[ReservedImage], denials: Denials) -> None:
        self._worker = worker
        self._rows = deque(rows)
        self._sender = ImageSender(worker, batch, denials)
        self._handled = 0
        # This worker asks for no answers meanwhile.
        self._ends_at = time.monotonic() + worker.account.poll_interval
        self._is_over = False

    async def run(self) -> int:
        """Send the rows, and give back those whose turn has not come.

        :return: how many were read.
        """
        lanes = [self._send_one_after_another() for _ in range(min(IMAGES_SIDE_BY_SIDE, len(self._rows)))]
        results = await asyncio.gather(*lanes, return_exceptions=True)
        await end_turn(self._worker)
        if self._rows:
            await self._worker.database.write(leases.release, [row.id for row in self._rows], self._worker.holder)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return self._handled

    async def _send_one_after_another(self) -> None:
        try:
            while self._rows and not self._is_over:
                self._handled += 1
                goes_on = await self._sender.send(self._rows.popleft())
                if not goes_on or self._worker.stopping or time.monotonic() > self._ends_at:
                    self._is_over = True
        except BaseException:
            self._is_over = True
            raise


def find_room(tx: Transaction, account: AccountSettings, batch: Batch) -> int:
    """Give how many images a worker of the batch may send at this moment."""
    state = accounts.read_account(tx, account.identity, batch.options.priority)
    room = state.room(account)
    if state.blocked_reason is not None:
        # After a no, one image at a time is sent: to read more of them would be in vain.
        room = min(room, 1)
    left = submissions_left(tx, batch, account)
    return room if left is None else min(room, left)


async def _may_submit(worker: Worker, batch: Batch) -> bool:
    """Say whether the service may be asked for something; it is not asked where the batch has nothing to send."""
    return worker.access_checked or (
        await worker.database.read(leases.has_claimable, batch) and await has_access(worker, batch)
    )


async def has_access(worker: Worker, batch: Batch) -> bool:
    """Prove that the key may read, once, before anything is paid for: its answers could not be fetched else.

    :return: False while a service that has answered in this try cannot be asked; all processes stay away from it
        for a while then.
    :raises ServiceDeniedError: if the key may not read.
    :raises ServiceUnavailableError: if the service has not answered once since the try began: waiting would
        hide that the address is wrong.
    """
    if worker.access_checked:
        return True
    database, identity = worker.database, worker.account.identity
    until = await database.write(accounts.take_probe_turn, identity)
    if until is None:
        return False
    try:
        await worker.client.check_access()
    except ServiceUnavailableError:
        await database.write(accounts.open_breaker, identity, "no answer to a read", None, failing=True)
        if not await database.read(accounts.was_heard_since, identity, batch.tried_at):
            raise
        return False
    await database.write(accounts.end_probe_turn, identity, until)
    worker.access_checked = True
    return True
