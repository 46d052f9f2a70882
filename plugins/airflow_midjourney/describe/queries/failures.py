"""How many rows of each reason there are, for a person who wants to know what goes wrong most."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, func, literal, select, true, union_all

from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.queries.filters import batch_of, matches, range_of_reason, their_dags
from airflow_midjourney.describe.queries.owners import DagIds, ways_to_belong
from airflow_midjourney.describe.table.batches import turns_out_in_scope
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from sqlalchemy import Row
    from sqlalchemy.sql.selectable import Select

    from airflow_midjourney.describe.queries.filters import Filters
    from airflow_midjourney.describe.table.database import Transaction

#: Rows of one reason that are counted; where there are more, their number is a lower bound.
MOST_COUNTED: Final = 2000


@dataclass(frozen=True, slots=True)
class ReasonCount:
    """Rows that came to nothing for one reason.

    :param reason: None for doubtful rows, which have none.
    :param at_least: True if not all rows were counted.
    """

    reason: Reason | None
    rows: int
    at_least: bool = False


def count_reasons(tx: Transaction, filters: Filters, dag_ids: DagIds) -> list[ReasonCount]:
    """Count rows by reason, of these DAGs only. Reasons without rows are left out.

    :param filters: DAG, run, batch, time, and the reason, or status ``in_doubt``, if only that is to be counted.
    :param dag_ids: the DAGs whose rows may be seen.
    """
    theirs, batch = their_dags(filters, dag_ids), batch_of(tx, filters)
    of_batch = true() if batch is None else turns_out_in_scope(tx.tables, batch)
    queries = [
        _counting(tx, reason.value, and_(range_of_reason(tx.tables, reason, filters, tx.now, batch), of_batch), theirs)
        for reason in Reason
        if filters.status is None and filters.reason in (None, reason)
    ]
    if filters.reason is None:
        doubtful = replace(filters, dag_id="", status=Status.IN_DOUBT)
        queries.append(_counting(tx, "", _doubtful(tx, doubtful), theirs))
    return [_to_count(row) for row in tx.connection.execute(union_all(*queries)) if row.theirs]


def _to_count(row: Row[Any]) -> ReasonCount:
    reason = Reason(row.reason) if row.reason else None
    return ReasonCount(reason, min(row.theirs, MOST_COUNTED), at_least=row.theirs > MOST_COUNTED)


def _doubtful(tx: Transaction, filters: Filters) -> ColumnElement[bool]:
    return and_(has_status(tx.tables.images, Status.IN_DOUBT), matches(tx, filters, tx.now))


def _counting(tx: Transaction, name: str, condition: ColumnElement[bool], dag_ids: DagIds) -> Select[tuple[str, int]]:
    """Count the rows of these DAGs in a range of an index; those of others are passed over before the limit."""
    images = tx.tables.images
    theirs = union_all(
        *(
            select(select(images.c.id).where(condition, belonging).limit(MOST_COUNTED + 1).subquery())
            for belonging in ways_to_belong(tx.tables, dag_ids)
        )
    ).subquery()
    return select(
        literal(name).label("reason"), select(func.count()).select_from(theirs).scalar_subquery().label("theirs")
    )
