"""How long to wait, and whether it is worth freeing the worker for it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.table import poll_schedule

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database

#: A shorter wait is not worth the seconds that deferring and resuming a task cost.
WORTH_DEFERRING: Final = 15.0

#: How long a wait for a person may last; no process knows.
LONGEST_GUESS: Final = 3600.0

#: Bounds of a pause between two looks, in seconds.
SHORTEST_WAIT: Final = 0.2

LONGEST_WAIT: Final = 5.0

#: Seconds between two looks at whether a callback has come.
LISTENS_EVERY: Final = 1.0


def pause_before_next_look(progress: Progress) -> float:
    """Give the seconds until something may have changed: the next poll, or a probe through the circuit breaker."""
    account = progress.account
    moments = [poll_schedule.poll_due_at(account)]
    if progress.open.claimable:
        moments += [moment for moment in (account.blocked_until, _opens_at(progress)) if moment is not None]
    upcoming = [(moment - account.now).total_seconds() for moment in moments if moment > account.now]
    # Nothing of the account is on its way, and none may be sent: only a person, a clock or another batch changes that.
    may_not = account.paused or account.kept > 0 or _opens_at(progress) is not None
    is_idle = account.in_flight == 0 and may_not
    usual = LONGEST_WAIT if is_idle else SHORTEST_WAIT
    return min(max(min(upcoming, default=usual), SHORTEST_WAIT), LONGEST_WAIT)


def _opens_at(progress: Progress) -> datetime | None:
    """Give when the connection's hours begin; None within them. A look of a while ago may have seen the past."""
    opening = progress.opening
    return None if opening is None or opening.at <= progress.account.now else opening.at


def expected_wait(progress: Progress, idle_since: datetime) -> float:
    """Guess the seconds until the worker is needed again.

    A service with a queue has something to do meanwhile: then it is the time in which the queue lasts, however many
    answers come before.

    :param idle_since: since when this worker has had nothing to do; what it waited already is the best guess
        where nothing else is known.
    """
    if progress.work_to_do:
        return 0.0
    account = progress.account
    if account.paused and progress.open.claimable:
        return LONGEST_GUESS
    if progress.opening is not None and progress.open.claimable:
        return (progress.opening.at - account.now).total_seconds()
    blocked = 0.0 if account.blocked_until is None else (account.blocked_until - account.now).total_seconds()
    queue = queue_seconds(progress)
    waited = (account.now - idle_since).total_seconds()
    if progress.quickest_seconds is None or progress.oldest_in_flight is None:
        return max(blocked, queue, waited)
    first_answer = progress.quickest_seconds - (account.now - progress.oldest_in_flight).total_seconds()
    return max(blocked, queue, waited if first_answer < 0 else first_answer)


def queue_seconds(progress: Progress) -> float:
    """Give the seconds for which the service's queue lasts if no more is submitted; 0 where it does not report a queue.

    Little's law: images in flight = throughput x seconds that each spends at the service. So the throughput is
    ``in_flight / spent``, and the queue lasts ``queued / throughput``. ``spent`` is the typical time of the answered
    images, or the age of the oldest image in flight where that is more: answered images show a longer queue only late.
    """
    account = progress.account
    if progress.typical_seconds is None or progress.oldest_in_flight is None or account.in_flight == 0:
        return 0.0
    spent = max(progress.typical_seconds, (account.now - progress.oldest_in_flight).total_seconds())
    return account.queued * spent / account.in_flight


def worth_waking(progress: Progress, max_in_flight: int) -> bool:
    """Say whether a sleeping task should be woken to submit: a few slots at once, before the service runs dry."""
    return progress.work_to_do and progress.room >= min(max(1, max_in_flight // 4), progress.open.claimable)


async def pause(
    database: Database, account: AccountSettings, seconds: float, stirred: asyncio.Event | None = None
) -> None:
    """Wait; where callbacks are asked for, not longer than until one makes a poll due.

    Costs one small read a second, however many batches wait for the account.

    :param stirred: ends the pause, too.
    """
    deadline = time.monotonic() + seconds
    stirred = stirred or asyncio.Event()
    while not stirred.is_set() and (left := deadline - time.monotonic()) > 0:
        if not account.callbacks or left <= LISTENS_EVERY:
            await _wait(stirred, left)
            return
        await _wait(stirred, LISTENS_EVERY)
        if await database.read(poll_schedule.is_called_for, account.identity):
            return


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
