"""A batch at one moment, for a person who looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from airflow_midjourney.describe.status import IN_FLIGHT
from airflow_midjourney.describe.table.batches import in_scope, read_batch
from airflow_midjourney.describe.table.counts import Counts, count
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.scope import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Parts of one mapped task that are named beside each other.
MOST_PARTS = 100


@dataclass(frozen=True, slots=True)
class BatchOverview:
    """What a person asks about a batch first.

    :param now: the database's moment of all of this.
    :param oldest_waiting: when the image was submitted that has waited for its answer the longest, if one waits.
    :param parts: batch ids of the same task in the same run; more than one if the task is mapped.
    """

    batch: Batch
    counts: Counts
    now: datetime
    oldest_waiting: datetime | None
    parts: tuple[str, ...]


def overview(tx: Transaction, batch_id: str) -> BatchOverview:
    """Look at a batch.

    :raises BatchError: if there is none.
    """
    batch = read_batch(tx, batch_id)
    images, batches = tx.tables.images, tx.tables.batches.c
    oldest: datetime | None = tx.connection.execute(
        select(func.min(images.c.submitted_at)).where(in_scope(tx.tables, batch), has_status(images, *IN_FLIGHT))
    ).scalar()
    parts = tx.connection.execute(
        select(batches.batch_id)
        .where(
            batches.dag_id == batch.origin.dag_id,
            batches.run_id == batch.origin.run_id,
            batches.dag_task_id == batch.origin.dag_task_id,
        )
        .order_by(batches.map_index, batches.batch_id)
        .limit(MOST_PARTS)
    ).scalars()
    return BatchOverview(batch, count(tx, batch), tx.now, oldest, tuple(parts))
