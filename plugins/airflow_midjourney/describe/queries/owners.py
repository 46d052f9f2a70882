"""Which DAG a row belongs to, and so who may see it: the one home of that rule.

A row belongs to the DAG that sent its image last, else to the one that listed it. Rows that an older release listed and
no task has sent have no DAG of their own: they belong to the DAG of the batch that wants them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, func, or_, select

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables

#: The DAGs whose rows a person may see, or change. What belongs to none of them is not there for this person.
DagIds = frozenset[str]


def belongs_to(tables: Tables, dag_ids: DagIds) -> ColumnElement[bool]:
    """Give the condition that an image's row belongs to one of these DAGs."""
    return or_(*ways_to_belong(tables, dag_ids))


def ways_to_belong(tables: Tables, dag_ids: DagIds) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Give :func:`belongs_to` as two conditions that no row meets both of: each is a range of an index by DAG."""
    images, wanting = tables.images.c, tables.batches.alias("wanting")
    theirs = sorted(dag_ids)
    of_their_batch = (
        select(wanting.c.batch_id)
        .where(wanting.c.batch_id == images.batch_id, wanting.c.dag_id.in_(theirs))
        .correlate(tables.images)
        .exists()
    )
    return images.dag_id.in_(theirs), and_(images.dag_id.is_(None), of_their_batch)


def was_sent_by(tables: Tables, dag_ids: DagIds) -> ColumnElement[bool]:
    """Give the condition that a row of the bill belongs to one of these DAGs."""
    return tables.submissions.c.dag_id.in_(sorted(dag_ids))


def owners(tx: Transaction, image_ids: Iterable[int]) -> dict[int, str | None]:
    """Give which DAG each of these rows belongs to; None for a row that belongs to none. Unknown ids are left out."""
    images, batches = tx.tables.images, tx.tables.batches
    dag_id = func.coalesce(images.c.dag_id, batches.c.dag_id)
    rows = tx.connection.execute(
        select(images.c.id, dag_id)
        .select_from(images.outerjoin(batches, batches.c.batch_id == images.c.batch_id))
        .where(images.c.id.in_(sorted(image_ids)))
    )
    return {row[0]: row[1] for row in rows}
