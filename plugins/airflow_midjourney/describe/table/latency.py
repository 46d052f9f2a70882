"""How fast the service answers an account: how long an image takes at least, and usually."""

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

#: How many of the latest answers tell how long the service takes, and when the next ones are due.
_RECENT: Final = 20
_EXPECTED_BY: Final = 40

#: Share of the time until we heard of an answer that the describe took at least, where the service does not say.
_HEARD_AT_LEAST: Final = 0.8

#: How many answers of how long ago tell the pace.
_MEASURED: Final = 500
_OF_LATE: Final = timedelta(days=30)

#: Share of the time that we waited which the service's own time must be.
_BELIEVABLE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Took:
    """How many seconds one describe took: our best guess, and what it may have been at least and at most."""

    seconds: float
    least: float
    most: float


def quickest_seconds(tx: Transaction, account: str) -> float | None:
    """Give how long the quickest of the account's latest describes took; None if there are none.

    Before that time nothing is to be expected.
    """
    return min((one.seconds for one in _latest(tx, account, _RECENT, Status.SUCCEEDED)), default=None)


def latest_describes(tx: Transaction, account: str) -> list[Took]:
    """Give how long each of the account's latest describes took, failures included."""
    return _latest(tx, account, _EXPECTED_BY, Status.SUCCEEDED, Status.FAILED)


def _latest(tx: Transaction, account: str, number: int, *results: Status) -> list[Took]:
    """Give how long describes took that ended so.

    A failure counts only with the end that the service names: what we gave up says nothing about the service.
    """
    submissions, images = tx.tables.submissions.c, tx.tables.images.c
    rows = tx.connection.execute(
        select(
            submissions.result, submissions.answered_at, submissions.settled_at, images.started_at, images.finished_at
        )
        .join_from(tx.tables.submissions, tx.tables.images, images.id == submissions.image_id)
        .where(
            submissions.account == account,
            submissions.result.in_(results),
            submissions.claimed_at >= tx.now - timedelta(hours=1),
            submissions.answered_at.is_not(None),
            submissions.settled_at.is_not(None),
        )
        .order_by(submissions.claimed_at.desc())
        .limit(number)
    )
    return [
        _took(answered_at, settled_at, started_at, finished_at)
        for result, answered_at, settled_at, started_at, finished_at in rows
        if result == Status.SUCCEEDED or _is_believable(answered_at, settled_at, started_at, finished_at)
    ]


def _took(
    answered_at: datetime, settled_at: datetime, started_at: datetime | None, finished_at: datetime | None
) -> Took:
    """Give how long one describe took.

    We hear of an answer when we ask, so the end that the service names is closer to the truth. Where the clocks agree
    it is from our submission to the service's end. Where they do not, it is from start to end by the service's clock.
    What services call the start of a task differs, though: one that leaves out most of the time is not believed.
    """
    ours = (settled_at - answered_at).total_seconds()
    if started_at is None or finished_at is None:
        return Took(ours, ours * _HEARD_AT_LEAST, ours)
    if _is_believable(answered_at, settled_at, started_at, finished_at):
        until_its_end = (finished_at - answered_at).total_seconds()
        # Some services name whole seconds.
        cut_off = 0.0 if finished_at.microsecond else 1.0
        return Took(until_its_end, until_its_end, min(ours, until_its_end + cut_off))
    theirs = (finished_at - started_at).total_seconds()
    if ours * _BELIEVABLE <= theirs <= ours:
        return Took(theirs, theirs, ours)
    return Took(ours, ours * _HEARD_AT_LEAST, ours)


def _is_believable(
    answered_at: datetime, settled_at: datetime, started_at: datetime | None, finished_at: datetime | None
) -> bool:
    """Say whether the end that the service names fits to our own times."""
    if started_at is None or finished_at is None:
        return False
    return finished_at - started_at <= finished_at - answered_at <= settled_at - answered_at


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


@dataclass(frozen=True, slots=True)
class Throughput:
    """How fast an account's latest answers came.

    :param answers: how many they were.
    :param seconds: in which they came, without the times in which nothing was asked for.
    :param seconds_an_image: how long one took, from answer to answer.
    """

    answers: int
    seconds: float
    seconds_an_image: float

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def throughput(tx: Transaction, account: str) -> Throughput | None:
    """Measure how fast the account's latest answers came, while it was at work; None if there are none of late."""
    submissions = tx.tables.submissions.c
    rows = tx.connection.execute(
        select(submissions.answered_at, submissions.settled_at)
        .where(
            submissions.account == account,
            submissions.result == Status.SUCCEEDED,
            submissions.claimed_at >= tx.now - _OF_LATE,
            submissions.answered_at.is_not(None),
        )
        .order_by(submissions.claimed_at.desc())
        .limit(_MEASURED)
    ).all()
    if not rows:
        return None
    spans = [(row.answered_at, max(row.answered_at, row.settled_at)) for row in rows]
    took = [max(0.001, (end - start).total_seconds()) for start, end in spans]
    return Throughput(len(rows), max(0.001, _seconds_covered(spans)), fmean(took))


def _seconds_covered(spans: list[tuple[datetime, datetime]]) -> float:
    """Give how many seconds lie in one of the spans at least."""
    covered = 0.0
    until: datetime | None = None
    for start, end in sorted(spans):
        start = start if until is None else max(start, until)
        covered += max(0.0, (end - start).total_seconds())
        until = end if until is None else max(end, until)
    return covered


def oldest_in_flight(tx: Transaction, account: str) -> datetime | None:
    """Give when the image that has been on its way the longest was submitted."""
    images = tx.tables.images
    oldest: datetime | None = tx.connection.execute(
        select(func.min(images.c.submitted_at)).where(
            images.c.account == account, has_status(images, *IN_FLIGHT), images.c.status == Status.SUBMITTED
        )
    ).scalar()
    return oldest
