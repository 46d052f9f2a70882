"""Conditions that partial indexes and queries have in common, each spelt once."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Index, Table, and_, literal_column, or_, text

from airflow_midjourney.describe.model.status import Reason, Status

#: Reasons for which a row is given up although its task may still be answered.
GIVEN_UP: Final = (Reason.TIMEOUT, Reason.LOST)

#: A row that waits for its twin is one of these.
SHARING: Final = (Status.PENDING, Status.IN_DOUBT)

#: What a row with a reason is, unless it goes round again.
WITH_A_REASON: Final = (Status.FAILED, Status.REJECTED)

#: :func:`may_be_answered` as the text of an index.
MAY_BE_ANSWERED: Final = "task_id IS NOT NULL AND (settled_at IS NULL OR reason IN ({reasons}))".format(
    reasons=", ".join(f"'{reason}'" for reason in GIVEN_UP)
)


def has_status(images: Table, *statuses: Status) -> ColumnElement[bool]:
    """Give the condition that a row has one of these statuses, spelt as the partial indexes spell theirs.

    SQLite takes such an index only where the query repeats its condition word by word, without parameters.

    :param images: the metadata table.
    """
    return images.c.status.in_([literal_column(f"'{status}'") for status in statuses])


def may_be_answered(submissions: Table) -> ColumnElement[bool]:
    """Give the condition that the service may still have an answer to a submission, spelt as its index spells it.

    :param submissions: the table of the bill.
    """
    reasons: list[ColumnElement[str]] = [literal_column(f"'{reason}'") for reason in GIVEN_UP]
    return and_(
        submissions.c.task_id.is_not(None),
        or_(submissions.c.settled_at.is_(None), submissions.c.reason.in_(reasons)),
    )


def one_of(statuses: tuple[Status, ...]) -> str:
    """Give the condition that a row has one of these statuses, as the text of an index."""
    return "status IN (" + ", ".join(f"'{status}'" for status in statuses) + ")"


def partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Make an index over the rows that meet a condition."""
    return Index(name, *columns, unique=unique, postgresql_where=text(where), sqlite_where=text(where))
