"""Which DAG a row belongs to, and so who may see it: the one home of that rule.

A row belongs to the DAG that sent its image last, else to the one that listed it. Rows that an older release listed and
nobody has sent have no DAG of their own: they belong to the DAG of the batch that wants them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, func, or_, select, true

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables

#: The DAGs whose rows a person may see (or change); None for all, and for rows that belong to no DAG.
DagIds = frozenset[str] | None


def belongs_to(tables: Tables, dag_ids: DagIds) -> ColumnElement[bool]:
    """Give the condition that an image's row belongs to one of these DAGs.

    :param dag_ids: None for no condition.
    """
    if dag_ids is None:
        return true()
    images, batches = tables.images.c, tables.batches.c
    theirs = sorted(dag_ids)
    of_their_batch = (
        select(batches.batch_id).where(batches.batch_id == images.batch_id, batches.dag_id.in_(theirs)).exists()
    )
    return or_(images.dag_id.in_(theirs), and_(images.dag_id.is_(None), of_their_batch))


def was_sent_by(tables: Tables, dag_ids: DagIds) -> ColumnElement[bool]:
    """Give the condition that a row of the bill belongs to one of these DAGs.

    :param dag_ids: None for no condition.
    """
    return true() if dag_ids is None else tables.submissions.c.dag_id.in_(sorted(dag_ids))


def owners(tx: Transaction, image_ids: Iterable[int]) -> dict[int, str | None]:
    """Give which DAG each of these rows belongs to; None for those that belong to none. Unknown ids are left out."""
    images, batches = tx.tables.images, tx.tables.batches
    dag_id = func.coalesce(images.c.dag_id, batches.c.dag_id)
    rows = tx.connection.execute(
        select(images.c.id, dag_id)
        .select_from(images.outerjoin(batches, batches.c.batch_id == images.c.batch_id))
        .where(images.c.id.in_(sorted(image_ids)))
    )
    return {row[0]: row[1] for row in rows}


def known_dags(tx: Transaction, dag_ids: DagIds, limit: int) -> Sequence[str]:
    """Give DAGs that have rows, of those that a person may see; each costs one look at an index.

    :param limit: the most that are given.
    """
    images = tx.tables.images.c
    found: list[str] = []
    while len(found) < limit:
        after = images.dag_id > found[-1] if found else images.dag_id.is_not(None)
        theirs = true() if dag_ids is None else images.dag_id.in_(sorted(dag_ids))
        query = select(images.dag_id).where(after, theirs).order_by(images.dag_id).limit(1)
        following: str | None = tx.connection.execute(query).scalar()
        if following is None:
            break
        found.append(following)
    return found
