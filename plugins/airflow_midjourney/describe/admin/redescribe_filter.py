"""A person asks for all images of a filter to be described again: one price, one question, thousands of rows.

The question names no rows. It holds the filter and the moment at which the person was shown what it comes to; a row is
what the person was shown as long as it has the ending that it had then. Rows are taken in parts, each in a transaction
of its own, so an order that was cut off is completed by sending the same form again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, union_all

from airflow_midjourney.describe.admin.redescribe import Offer, Price, note_request, price_up, take_shown
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.queries.filters import Filters, matches, their_dags
from airflow_midjourney.describe.queries.owners import DagIds, owners, ways_to_belong
from airflow_midjourney.describe.table.orders.seen_rows import SeenRow, name_submission
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

    from airflow_midjourney.describe.table.database import Transaction

#: Rows of one order; where there are more, the person asks again for the rest.
MOST_AT_ONCE: Final = 10_000

#: A row that ended so short a time ago is not in the order: a transaction that began before the question may still be
#: writing such endings, and the person would not have been shown them.
SETTLES_WITHIN: Final = timedelta(seconds=5)

#: What an order for a filter takes. Described images are asked for one by one.
_TAKES: Final = (Status.FAILED, Status.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class FilterOrder:
    """The rows of a filter, as a person was shown them.

    :param dag_ids: the DAGs that they belong to.
    :param shown_at: rows that have ended since are not among them.
    :param last_id: the greatest number of them.
    :param images: how many they are.
    """

    filters: Filters
    dag_ids: DagIds
    shown_at: datetime
    last_id: int
    images: int


@dataclass(frozen=True, slots=True)
class FilterOffer:
    """What describing all of a filter again would come to.

    :param fresh: rows that ended a moment ago, and are not in the order.
    :param more: whether there are more rows than one order takes.
    """

    offer: Offer
    order: FilterOrder
    fresh: int
    more: bool


def offer_all(tx: Transaction, filters: Filters, dag_ids: DagIds) -> FilterOffer:
    """Say what describing all of a filter again would come to. Reads only.

    :param dag_ids: the DAGs whose rows the person may change.
    """
    shown_at = tx.now - SETTLES_WITHIN
    ended_at = tx.tables.images.c.ended_at
    rows = tx.connection.execute(_rows(tx, filters, dag_ids, shown_at, ended_at <= shown_at)).all()
    fresh = _rows(tx, filters, dag_ids, shown_at, ended_at > shown_at).subquery()
    offer = price_up(tx, rows[:MOST_AT_ONCE])
    theirs = frozenset(dag_id for dag_id in owners(tx, offer.image_ids).values() if dag_id)
    order = FilterOrder(filters, theirs, shown_at, max(offer.image_ids, default=0), len(offer.image_ids))
    number = tx.connection.execute(select(func.count()).select_from(fresh)).scalar_one()
    return FilterOffer(offer, order, number, more=len(rows) > MOST_AT_ONCE)


def count_by_dag(tx: Transaction, filters: Filters, dag_ids: DagIds) -> dict[str, int]:
    """Count the rows of a filter that could be described again, by DAG, as far as one order goes."""
    rows = tx.connection.execute(_rows(tx, filters, dag_ids, tx.now)).all()
    found: dict[str, int] = {}
    for dag_id in owners(tx, [row.id for row in rows]).values():
        found[str(dag_id)] = found.get(str(dag_id), 0) + 1
    return dict(sorted(found.items()))


def rows_shown(tx: Transaction, order: FilterOrder) -> list[SeenRow]:
    """Give the rows that a person was shown and that still have the same ending."""
    images = tx.tables.images.c
    then = (images.ended_at <= order.shown_at, images.id <= order.last_id)
    rows = tx.connection.execute(_rows(tx, order.filters, order.dag_ids, order.shown_at, *then))
    return [SeenRow(row.id, row.status, name_submission(row.submit_token)) for row in rows]


def begin_order(tx: Transaction, request_id: str, asked_by: str, price: Price | None) -> datetime:
    """Write the request down, once.

    :return: when it was made first.
    """
    note_request(tx, request_id, asked_by, price)
    requests = tx.tables.requests.c
    made: datetime = tx.connection.execute(
        select(requests.asked_at).where(requests.request_id == request_id)
    ).scalar_one()
    return made


def take_part(
    tx: Transaction,
    request_id: str,
    asked_by: str,
    seen: Sequence[SeenRow],
    dag_ids: DagIds,
    price: Price | None,
    since: datetime,
) -> list[int]:
    """Make rows pending that are still what the person was shown, and write down which.

    :param seen: some of the rows that were shown; at most 500.
    :param dag_ids: the DAGs whose rows the person may change now.
    :param since: when the request was made: twins in two of its parts share one answer.
    :return: the rows that were taken; the same form sent again takes none of them a second time.
    """
    taken = take_shown(tx, request_id, seen, dag_ids, since)
    if taken:
        note_request(tx, f"{request_id}/{taken[0]}", asked_by, price, taken)
    return taken


def _rows(
    tx: Transaction, filters: Filters, dag_ids: DagIds, now: datetime, *further: ColumnElement[bool]
) -> Select[Any]:
    """Give the rows of a filter that can be described again, by number, and one more than an order takes."""
    images = tx.tables.images
    columns = [images.c[name] for name in ("id", "status", "is_current", "max_attempts", "submit_token")]
    wanted = (matches(tx, filters, now), images.c.is_current, has_status(images, *_TAKES), *further)
    lanes = (
        select(*columns).where(belonging, *wanted).order_by(images.c.id).limit(MOST_AT_ONCE + 1)
        for belonging in ways_to_belong(tx.tables, their_dags(filters, dag_ids))
    )
    together = union_all(*(select(lane.subquery()) for lane in lanes)).subquery()
    return select(together).order_by(together.c.id).limit(MOST_AT_ONCE + 1)
