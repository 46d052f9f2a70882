"""Which images a person wants to see: the filters of the gallery, of the failures, and of an order for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, true

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.queries.owners import DagIds, belongs_to
from airflow_midjourney.describe.table.batches import after_prefix, read_batch, turns_out_in_scope
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, WITH_A_REASON, has_status

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.model.status import BotType, Reason, Status
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables


class Span(StrEnum):
    """How long ago an image may have ended."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    @property
    def length(self) -> timedelta:
        """The span as a time; a month has 30 days."""
        hours = {Span.HOUR: 1, Span.DAY: 24, Span.WEEK: 7 * 24, Span.MONTH: 30 * 24}
        return timedelta(hours=hours[self])


@dataclass(frozen=True, slots=True)
class Filters:
    """Which images are wanted; what is empty does not matter.

    :param text: part of a key or a prompt, whatever the case of its letters.
    :param prefix: beginning of ``s3://bucket/key``.
    :param within: the images ended no longer ago than that.
    :param batch: id of a batch that counts them: they are in its scope, and open or ended since it started.
    :param in_flight: the images hold a slot, whichever of the two statuses they have.
    :param billed: the batch has had a submission of the images accepted, wherever they are and whatever became of them.
    """

    text: str = ""
    status: Status | None = None
    reason: Reason | None = None
    prefix: str = ""
    dag_id: str = ""
    run_id: str = ""
    bot_type: BotType | None = None
    within: Span | None = None
    batch: str = ""
    in_flight: bool = False
    billed: bool = False


def batch_of(tx: Transaction, filters: Filters) -> Batch | None:
    """Give the batch that is asked for, if one is.

    :raises BatchError: if there is no such batch.
    """
    return read_batch(tx, filters.batch) if filters.batch else None


def wanted(tx: Transaction, filters: Filters, dag_ids: DagIds) -> ColumnElement[bool]:
    """Give the condition that a row is wanted, and belongs to one of these DAGs."""
    return and_(belongs_to(tx.tables, dag_ids), matches(tx, filters, tx.now))


def matches(tx: Transaction, filters: Filters, now: datetime) -> ColumnElement[bool]:
    """Give the condition that a row is wanted, whichever DAG it belongs to.

    :param now: from which ``within`` is counted.
    """
    tables, images, batch = tx.tables, tx.tables.images.c, batch_of(tx, filters)
    conditions = _of_run_and_time(tables, filters, now)
    if batch is not None:
        conditions.append(billed_by(tables, batch) if filters.billed else _counted_by(tables, batch))
    if filters.in_flight:
        conditions.append(has_status(tables.images, *IN_FLIGHT))
    if filters.status is not None:
        conditions.append(has_status(tables.images, filters.status))
    if filters.reason is not None:
        conditions += [images.reason == filters.reason.value, has_status(tables.images, *WITH_A_REASON)]
    if filters.prefix:
        conditions.append(below(tables, filters.prefix))
    if filters.dag_id:
        conditions.append(belongs_to(tables, frozenset({storable(filters.dag_id)})))
    if filters.bot_type is not None:
        conditions.append(images.bot_type == filters.bot_type.value)
    if filters.text:
        texts = (images.key, *(images[name] for name in PROMPT_COLUMNS))
        conditions.append(or_(*(text.icontains(storable(filters.text), autoescape=True) for text in texts)))
    return and_(true(), *conditions)


def their_dags(filters: Filters, dag_ids: DagIds) -> DagIds:
    """Give those of some DAGs whose rows may be wanted."""
    return dag_ids & {storable(filters.dag_id)} if filters.dag_id else dag_ids


def range_of_reason(
    tables: Tables, reason: Reason, filters: Filters, now: datetime, batch: Batch | None
) -> ColumnElement[bool]:
    """Give the rows of a reason as a range of an index: those of the run and the time that are wanted.

    :param batch: the one that is asked for: its rows ended after it had started.
    """
    with_a_reason = has_status(tables.images, *WITH_A_REASON)
    in_time = (*_of_run_and_time(tables, filters, now), since(tables, batch))
    return and_(with_a_reason, tables.images.c.reason == reason.value, *in_time)


def since(tables: Tables, batch: Batch | None) -> ColumnElement[bool]:
    """Give the condition that a row ended since a batch started, if one is asked for."""
    return true() if batch is None else tables.images.c.ended_at >= batch.started_at


def billed_by(tables: Tables, batch: Batch) -> ColumnElement[bool]:
    """Give the condition that a batch has had a submission of a row accepted."""
    bill = tables.submissions.c
    accepted = select(bill.image_id).where(bill.batch_id == batch.batch_id, bill.outcome == Outcome.ACCEPTED)
    return tables.images.c.id.in_(accepted)


def _counted_by(tables: Tables, batch: Batch) -> ColumnElement[bool]:
    """Give the condition that a row is one of a batch's numbers, as ``table/counts.py`` has them."""
    return and_(turns_out_in_scope(tables, batch), or_(has_status(tables.images, *OPEN), since(tables, batch)))


def below(tables: Tables, prefix: str) -> ColumnElement[bool]:
    """Give the condition that an image's address begins with a prefix."""
    uri, beginning = tables.images.c.image_uri, storable(prefix)
    end = after_prefix(beginning)
    return uri >= beginning if end is None else and_(uri >= beginning, uri < end)


def _of_run_and_time(tables: Tables, filters: Filters, now: datetime) -> list[ColumnElement[bool]]:
    """Give which run a row has to be of, and since when it has to have ended."""
    conditions = []
    if filters.run_id:
        conditions.append(tables.images.c.run_id == storable(filters.run_id))
    if filters.within is not None:
        conditions.append(tables.images.c.ended_at >= now - filters.within.length)
    return conditions
