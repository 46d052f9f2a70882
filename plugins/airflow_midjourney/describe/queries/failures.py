"""How many rows of each reason there are, for a person who wants to know what goes wrong most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, func, literal, select, union_all

from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.queries.owners import DagIds, ways_to_belong
from airflow_midjourney.describe.table.schema import WITH_A_REASON, has_status

if TYPE_CHECKING:
    from sqlalchemy import Row
    from sqlalchemy.sql.selectable import Select

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


def count_reasons(tx: Transaction, dag_ids: DagIds) -> list[ReasonCount]:
    """Count rows by reason, of these DAGs only. Reasons without rows are left out.

    :param dag_ids: the DAGs whose rows may be seen.
    """
    tables = tx.tables
    queries = [_counting(tx, reason.value, _has_reason(tx, reason), dag_ids) for reason in Reason]
    queries.append(_counting(tx, "", has_status(tables.images, Status.IN_DOUBT), dag_ids))
    return [_to_count(row) for row in tx.connection.execute(union_all(*queries)) if row.theirs]


def _to_count(row: Row[Any]) -> ReasonCount:
    reason = Reason(row.reason) if row.reason else None
    return ReasonCount(reason, min(row.theirs, MOST_COUNTED), at_least=row.theirs > MOST_COUNTED)


def _has_reason(tx: Transaction, reason: Reason) -> ColumnElement[bool]:
    images = tx.tables.images
    return and_(has_status(images, *WITH_A_REASON), images.c.reason == reason.value)


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
