"""The two verbs: ``advance`` a batch (workers), ``settle`` an account (anyone)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.backlog import submit_left_over
from airflow_midjourney.describe.engine.listing import list_further
from airflow_midjourney.describe.engine.precedence import say_waits
from airflow_midjourney.describe.engine.progress import Progress, look, stop_if_hopeless
from airflow_midjourney.describe.engine.reconcile import resubmit_doubtful
from airflow_midjourney.describe.engine.settle import settle
from airflow_midjourney.describe.engine.submit import submit_some
from airflow_midjourney.describe.table.batches import read_batch

if TYPE_CHECKING:
    from airflow_midjourney.describe.engine.context import Worker


__all__ = ["Progress", "advance", "look", "settle"]


async def advance(worker: Worker, batch_id: str) -> Progress:
    """Bring a batch a step further: list, settle, reserve, read, claim, submit.

    Any number of workers may advance the same batch at once, and each may die at any moment.

    :raises DescribeError: when going on makes no sense: no access, no credit, or nothing but failures.
    """
    database = worker.database
    batch = await database.read(read_batch, batch_id)
    await list_further(worker, batch)
    await settle(worker)
    await stop_if_hopeless(worker, batch)
    handled = 0
    if not batch.options.plan_only and not worker.stopping:
        await resubmit_doubtful(worker, batch)
        handled = await submit_some(worker, batch)
        if not handled:
            await submit_left_over(worker, await database.read(read_batch, batch_id))
    progress = await look(worker, batch_id, handled)
    await say_waits(worker, [progress])
    return progress
