"""How fast the service answers an account: how long an image takes at least, and when the next answer is due."""

from __future__ import annotations

from dataclasses import dataclass
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

#: Answers that come within this share of what an image takes are fetched together.
_TOGETHER: Final = 0.125

#: Share of what an image takes at least by which we ask later: the next one may take a little more, and to ask in vain
#: costs a whole interval.
_RATHER_LATER: Final = 0.04


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


def first_answer_after(seconds: float) -> float:
    """Give when to ask after the first image of several has gone out, so that all of them are there.

    :param seconds: how long an image takes at least.
    """
    return seconds * (1 + _TOGETHER * 0.75)


@dataclass(frozen=True, slots=True)
class Due:
    """Answers that may be there soon.

    :param seconds: until the next one, and those close behind it.
    :param others_overdue: whether others should be there already.
    """

    seconds: float
    others_overdue: bool


def next_answers(tx: Transaction, account: str, seconds: float) -> Due | None:
    """Say when the next answers may come; None if nothing is on its way, or all is overdue.

    :param seconds: how long an image takes at least.
    """
    images = tx.tables.images
    mine = (images.c.account == account, has_status(images, *IN_FLIGHT), images.c.submitted_at.is_not(None))
    not_yet = images.c.submitted_at > tx.now - timedelta(seconds=seconds)
    earliest, number, waiting = tx.connection.execute(
        select(func.min(images.c.submitted_at).filter(not_yet), func.count(), func.count().filter(not_yet)).where(*mine)
    ).one()
    if not waiting:
        return None
    close = images.c.submitted_at <= earliest + timedelta(seconds=seconds * _TOGETHER)
    last: datetime = tx.connection.execute(
        select(func.max(images.c.submitted_at)).where(*mine, not_yet, close)
    ).scalar_one()
    later = (last - tx.now).total_seconds() + seconds * (1 + _RATHER_LATER)
    return Due(later, others_overdue=number > waiting)


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
