"""Saying for how many slots a batch waits, so that batches of a lower priority leave them to it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.table.precedence import LAPSES_AFTER, Wait, write_waits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.account import AccountSettings

#: Seconds after which a process says again that a batch waits.
SAID_EVERY: Final = 20.0


async def say_waits(watcher: Watcher, looks: Iterable[Progress]) -> None:
    """Write down for how many slots batches wait, where that has changed or was said a while ago.

    A batch of priority 0 never says it: it goes before no other.

    :param looks: where they stand at this moment.
    """
    due = [wait_of(progress, watcher.account) for progress in looks if _is_due(progress, watcher.account)]
    if due:
        await watcher.database.write(write_waits, due)


def wait_of(progress: Progress, account: AccountSettings) -> Wait:
    """Give for how many slots a batch waits."""
    batch = progress.batch
    return Wait(batch.batch_id, account.identity, batch.options.priority, slots_waited_for(progress, account))


def slots_waited_for(progress: Progress, account: AccountSettings) -> int:
    """Give how many slots a batch could use at this moment and go before others; 0 while something else holds it up."""
    options = progress.batch.options
    if options.priority == 0 or options.plan_only or progress.opening is not None:
        return 0
    useful = min(progress.open.claimable, account.max_in_flight)
    return useful if progress.submissions_left is None else min(useful, progress.submissions_left)


def _is_due(progress: Progress, account: AccountSettings) -> bool:
    wanted, batch = slots_waited_for(progress, account), progress.batch
    if wanted != batch.waits_for_slots:
        return True
    again_after = timedelta(seconds=LAPSES_AFTER - SAID_EVERY)
    return wanted > 0 and (batch.waits_until is None or batch.waits_until - progress.account.now < again_after)
