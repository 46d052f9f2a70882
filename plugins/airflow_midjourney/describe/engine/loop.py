"""A worker's loop: advance until there is nothing left to do, or until waiting is better done elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.advance import advance
from airflow_midjourney.describe.engine.waiting import WORTH_DEFERRING, expected_wait, pause, pause_before_next_look
from airflow_midjourney.describe.model.errors import BatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.engine.reporting import ProgressReport


async def work(
    worker: Worker,
    batch_id: str,
    report: ProgressReport,
    *,
    until: Callable[[Progress], bool],
    may_leave: bool,
) -> Progress:
    """Advance a batch until it is where it should be.

    :param until: what to reach, for instance ``all_submitted``.
    :param may_leave: True to return early from a wait that is long enough to free the worker.
    :return: the last progress; if ``until`` does not hold for it, the wait is worth leaving.
    """
    try:
        return await _work(worker, batch_id, report, until, may_leave=may_leave)
    finally:
        await worker.ahead.end()


async def _work(
    worker: Worker, batch_id: str, report: ProgressReport, until: Callable[[Progress], bool], *, may_leave: bool
) -> Progress:
    idle_since: datetime | None = None
    while True:
        progress = await advance(worker, batch_id)
        await report.tell(worker, progress)
        if until(progress):
            return progress
        if worker.stopping:
            _stop(worker, progress)
        if progress.handled or progress.can_list:
            idle_since = None
            continue
        idle_since = idle_since or progress.account.now
        if may_leave and expected_wait(progress, idle_since) >= WORTH_DEFERRING:
            return progress
        if not may_leave or progress.quickest_seconds is not None:
            # A worker that may leave soon would have read in vain.
            await worker.ahead.begin(worker, progress)
        # Rows that are leased to be read ahead may be what there is room for.
        stirred = worker.ahead.given_back if progress.room else None
        await pause(worker.database, worker.account, pause_before_next_look(progress), stirred)


def _stop(worker: Worker, progress: Progress) -> None:
    """End a try that may claim nothing more. One that only waits for answers goes on: it has nothing to lose.

    :raises BatchError: a retry goes on where this try stopped.
    """
    if worker.told_to_stop:
        raise told_to_stop()
    if not progress.all_submitted:
        raise BatchError(
            f"The task's execution_timeout is nearly over, with {progress.open.left_to_submit} image(s) left to submit."
            " The worker stopped in time for every POST on its way to be answered and recorded; nothing is lost, and"
            " the next try goes on from here. Give the task a longer execution_timeout, more retries, or"
            " deferrable=True.",
            retry_helps=True,
        )


def told_to_stop() -> BatchError:
    """Make the error of a task that Airflow tells to stop."""
    return BatchError(
        "The task was told to stop. What is on its way is remembered; the next try goes on from here.",
        retry_helps=True,
    )


async def work_off(worker: Worker, batch_id: str) -> Progress:
    """Advance a batch as far as it goes without waiting."""
    while True:
        progress = await advance(worker, batch_id)
        if not progress.handled and not progress.can_list:
            return progress
        if worker.stopping:
            _stop(worker, progress)
