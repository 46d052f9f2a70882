"""Which task would send pending images: what the tables know of it. Whether it still exists, Airflow alone knows."""

from __future__ import annotations

from dataclasses import dataclass
from os.path import commonprefix
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from airflow_midjourney.describe.table.batches import to_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class Sender:
    """The task that had some images last; a later run of it takes up what it left over.

    :param images: how many of the images it had.
    :param prefix: what their keys begin with, all of them.
    :param takes_left_over: whether its latest run took up what earlier ones had left, over the same connections.
    """

    dag_id: str
    task_id: str
    images: int
    bucket: str
    prefix: str
    takes_left_over: bool


def senders(tx: Transaction, image_ids: Sequence[int]) -> list[Sender]:
    """Give the tasks that had these images last. An image whose batch came from no task is left out."""
    images, batches = tx.tables.images.c, tx.tables.batches.c
    groups = tx.connection.execute(
        select(
            batches.dag_id,
            batches.dag_task_id,
            images.bucket,
            func.count(),
            func.min(images.key),
            func.max(images.key),
            func.max(images.batch_id),
        )
        .join_from(tx.tables.images, tx.tables.batches, batches.batch_id == images.batch_id)
        .where(images.id.in_(image_ids), batches.dag_id.is_not(None), batches.dag_task_id.is_not(None))
        .group_by(batches.dag_id, batches.dag_task_id, images.bucket)
        .order_by(batches.dag_id, batches.dag_task_id, images.bucket)
    )
    return [_sender(tx, tuple(group)) for group in groups]


def _sender(tx: Transaction, group: Sequence[Any]) -> Sender:
    dag_id, task_id, bucket, number, first, last, batch_id = group
    batches = tx.tables.batches
    rows = tx.connection.execute(select(batches).where(batches.c.batch_id == batch_id)).mappings()
    had, latest = to_batch(rows.one()), _latest(tx, dag_id, task_id)
    same = (had.options.mj_conn_id, had.options.aws_conn_id) == (latest.options.mj_conn_id, latest.options.aws_conn_id)
    takes = same and latest.options.backlog == "own"
    # Character by character: S3 knows no folders, and the first and the last key have the prefix of all between them.
    prefix = commonprefix([first, last])  # noqa: RUF071
    return Sender(dag_id, task_id, number, bucket, prefix, takes)


def _latest(tx: Transaction, dag_id: str, task_id: str) -> Batch:
    batches = tx.tables.batches
    query = select(batches).where(batches.c.dag_id == dag_id, batches.c.dag_task_id == task_id)
    newest = query.order_by(batches.c.started_at.desc(), batches.c.batch_id.desc()).limit(1)
    return to_batch(tx.connection.execute(newest).mappings().one())
