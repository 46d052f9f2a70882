"""Batches as a person leafs through them: newest first, page by page, of some DAGs only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, func, or_, select

from airflow_midjourney.describe.table.batches import to_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class BatchCursor:
    """Where a page of the list ends: the batches before it in time are on the next page."""

    started_at: datetime
    batch_id: str


@dataclass(frozen=True, slots=True)
class WantedBatches:
    """Which batches of a DAG are looked for; None for all.

    :param map_index: -1 for the task that is not mapped.
    """

    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first.

    :param following: where the next page starts; None if this is the last.
    """

    batches: tuple[Batch, ...]
    following: BatchCursor | None


def known_dags(tx: Transaction) -> list[str]:
    """Give the DAGs that have batches, one step through the index per DAG, however many batches each has."""
    dag_id = tx.tables.batches.c.dag_id
    steps = select(func.min(dag_id).label("dag_id")).cte("steps", recursive=True)
    following = select(func.min(dag_id)).where(dag_id > steps.c.dag_id).scalar_subquery()
    steps = steps.union_all(select(following).where(steps.c.dag_id.is_not(None)))
    query = select(steps.c.dag_id).where(steps.c.dag_id.is_not(None))
    return list(tx.connection.execute(query).scalars())


def list_batches(
    tx: Transaction,
    dag_ids: Iterable[str],
    wanted: WantedBatches,
    limit: int,
    before: BatchCursor | None = None,
) -> BatchPage:
    """Give a page of batches. What it costs depends on the number of DAGs and on ``limit``, not on what there is.

    :param dag_ids: the DAGs whose batches may be seen.
    :param before: where the page before this one ended; None for the newest.
    """
    found = [place for dag_id in dag_ids for place in _newest_of(tx, dag_id, wanted, limit + 1, before)]
    found.sort(key=lambda place: (place.started_at, place.batch_id), reverse=True)
    here = found[:limit]
    return BatchPage(_read(tx, here), here[-1] if len(found) > limit else None)


def _newest_of(
    tx: Transaction, dag_id: str, wanted: WantedBatches, limit: int, before: BatchCursor | None
) -> list[BatchCursor]:
    """Take the newest of a DAG from its own end of the index: one query for all would read all that is theirs."""
    batches = tx.tables.batches.c
    conditions = _conditions(tx, wanted)
    if before is not None:
        earlier = and_(batches.started_at == before.started_at, batches.batch_id < before.batch_id)
        conditions += [batches.started_at <= before.started_at, or_(batches.started_at < before.started_at, earlier)]
    newest = (
        select(batches.started_at, batches.batch_id)
        .where(batches.dag_id == dag_id, *conditions)
        .order_by(batches.started_at.desc(), batches.batch_id.desc())
        .limit(limit)
    )
    return [BatchCursor(row.started_at, row.batch_id) for row in tx.connection.execute(newest)]


def _conditions(tx: Transaction, wanted: WantedBatches) -> list[ColumnElement[bool]]:
    batches = tx.tables.batches.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.run_id is not None:
        conditions.append(batches.run_id == wanted.run_id)
    if wanted.task_id is not None:
        conditions.append(batches.dag_task_id == wanted.task_id)
    if wanted.map_index is not None and wanted.map_index >= 0:
        conditions.append(batches.map_index == wanted.map_index)
    elif wanted.map_index is not None:
        conditions.append(or_(batches.map_index.is_(None), batches.map_index < 0))
    return conditions


def _read(tx: Transaction, places: Sequence[BatchCursor]) -> tuple[Batch, ...]:
    batches = tx.tables.batches
    ids = [place.batch_id for place in places]
    rows = tx.connection.execute(select(batches).where(batches.c.batch_id.in_(ids))).mappings()
    by_id = {row["batch_id"]: to_batch(row) for row in rows}
    return tuple(by_id[batch_id] for batch_id in ids if batch_id in by_id)
