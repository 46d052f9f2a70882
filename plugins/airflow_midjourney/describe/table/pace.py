"""How fast the service answers an account: how long an image takes at least, and when the next answer is due."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from airflow_midjourney.describe.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.table.database import Transaction

#: How many of the latest answers tell how long the service takes.
_RECENT: Final = 20


def quickest_seconds(tx: Transaction, account: str) -> float | None:
    """Give how long the quickest of the account's latest describes took; None if there are none.

    Before that time nothing is to be expected. It goes by our clock alone: what services call the start of a task
    differs, and so do their clocks.
    """
    submissions = tx.tables.submissions.c
    recent = tx.connection.execute(
        select(submissions.answered_at, submissions.settled_at)
        .where(
            submissions.account == account,
            submissions.result == Status.SUCCEEDED,
            submissions.claimed_at >= tx.now - timedelta(hours=1),
        )
        .order_by(submissions.claimed_at.desc())
        .limit(_RECENT)
    )
    return min(((row.settled_at - row.answered_at).total_seconds() for row in recent), default=None)


def next_answer_at(tx: Transaction, account: str, seconds: float) -> datetime | None:
    """Give when the next answer may come; None if nothing is on its way, or all overdue.

    :param seconds: how long an image takes at least.
    """
    images = tx.tables.images
    earliest: datetime | None = tx.connection.execute(
        select(func.min(images.c.submitted_at)).where(
            images.c.account == account,
            has_status(images, *IN_FLIGHT),
            images.c.submitted_at > tx.now - timedelta(seconds=seconds),
        )
    ).scalar()
    return None if earliest is None else earliest + timedelta(seconds=seconds)
