"""What earlier runs of a batch's task left pending: taken once those are over, and no reason to wait or to fail."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.probe import take_turn
from airflow_midjourney.describe.engine.submit import ROWS_A_ROUND, Round, find_room, has_access
from airflow_midjourney.describe.model.batch import Origin
from airflow_midjourney.describe.model.errors import DescribeError, TableError
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.batches import has_ended, left_over_batches

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.left_over import LeftOver
    from airflow_midjourney.describe.model.batch import Batch

log = logging.getLogger(__name__)

#: Seconds for which it is known which runs are over.
_KNOWN_FOR: Final = 60.0


async def submit_left_over(worker: Worker, batch: Batch) -> None:
    """Give the room that the batch itself has no use for to images that earlier runs of its task left pending.

    A batch with images of its own does so until these have ended, and waits for no others; one without has nothing
    better to do. Their troubles are logged: a bucket that was deleted or may not be read any more is no reason for this
    run to fail.
    """
    left_over = worker.left_over
    if left_over.given_up or batch.options.backlog != "own" or batch.listing_ended_at is None:
        return
    if await worker.database.read(has_ended, batch):
        return
    try:
        await _find_ended_runs(worker, batch)
        if left_over.batch_ids:
            await _submit(worker, batch, left_over.batch_ids)
    except TableError:
        raise
    except DescribeError as error:
        left_over.given_up = True
        log.warning("What earlier runs left over stays where it is, and this run goes on without it: %s", error)


async def _submit(worker: Worker, batch: Batch, batch_ids: list[str]) -> None:
    limit = await worker.database.read(find_room, worker.account, batch)
    if limit == 0 or not await has_access(worker, batch) or not await take_turn(worker):
        return
    arguments = batch, batch_ids, worker.holder, min(limit, ROWS_A_ROUND)
    rows = await worker.database.write(leases.reserve_left_over, *arguments)
    await Round(worker, batch, rows, worker.left_over.denials).run()


async def _find_ended_runs(worker: Worker, batch: Batch) -> None:
    left_over = worker.left_over
    if time.monotonic() < left_over.known_until:
        return
    ended: list[str] = []
    over: dict[Origin, bool] = {}
    for one in await worker.database.read(left_over_batches, batch):
        run = Origin(one.origin.dag_id, one.origin.run_id)
        if run not in over:
            over[run] = await asyncio.to_thread(_is_over, left_over, run)
        if over[run]:
            ended.append(one.batch_id)
    left_over.batch_ids, left_over.known_until = ended, time.monotonic() + _KNOWN_FOR


def _is_over(left_over: LeftOver, run: Origin) -> bool:
    return bool(run.dag_id and run.run_id and left_over.run_is_over(run.dag_id, run.run_id))
