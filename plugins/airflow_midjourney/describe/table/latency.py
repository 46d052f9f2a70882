"""How fast the service answers an account: how long an image takes at least, and usually."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.table.database import Transaction

#: How many of the latest answers tell how long the service takes.
_RECENT: Final = 20

#: Share of the time that we waited which the service's own time must be.
_BELIEVABLE: Final = 0.5


def quickest_seconds(tx: Transaction, account: str) -> float | None:
    """Give how long the quickest of the account's latest describes took; None if there are none.

    Before that time nothing is to be expected. We hear of an answer when we ask, so the end that the service names is
    closer to the truth.
    """
    submissions, images = tx.tables.submissions.c, tx.tables.images.c
    recent = tx.connection.execute(
        select(submissions.answered_at, submissions.settled_at, images.started_at, images.finished_at)
        .join_from(tx.tables.submissions, tx.tables.images, images.id == submissions.image_id)
        .where(
            submissions.account == account,
            submissions.result == Status.SUCCEEDED,
            submissions.claimed_at >= tx.now - timedelta(hours=1),
            submissions.answered_at.is_not(None),
        )
        .order_by(submissions.claimed_at.desc())
        .limit(_RECENT)
    )
    return min((_seconds(*row) for row in recent), default=None)


def _seconds(
    answered_at: datetime, settled_at: datetime, started_at: datetime | None, finished_at: datetime | None
) -> float:
    """Give how long one describe took.

    Where the clocks agree it is from our submission to the service's end. Where they do not, it is from start to end
    by the service's clock. What services call the start of a task differs, though: one that leaves out most of the
    time is not believed.
    """
    ours = (settled_at - answered_at).total_seconds()
    if started_at is None or finished_at is None:
        return ours
    theirs = (finished_at - started_at).total_seconds()
    until_its_end = (finished_at - answered_at).total_seconds()
    if theirs <= until_its_end <= ours:
        return until_its_end
    return theirs if ours * _BELIEVABLE <= theirs <= ours else ours


def typical_seconds(tx: Transaction, account: str) -> float | None:
    """Give how long the account's latest describes took from answer to answer; None if there are none."""
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
    ).all()
    if not recent:
        return None
    seconds: list[float] = [(row.settled_at - row.answered_at).total_seconds() for row in recent]
    return fmean(seconds)


def oldest_in_flight(tx: Transaction, account: str) -> datetime | None:
    """Give when the image that has been on its way the longest was submitted."""
    images = tx.tables.images
    oldest: datetime | None = tx.connection.execute(
        select(func.min(images.c.submitted_at)).where(
            images.c.account == account, has_status(images, *IN_FLIGHT), images.c.status == Status.SUBMITTED
        )
    ).scalar()
    return oldest
