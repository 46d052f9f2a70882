"""How fast the service answers an account: how long an image takes at least, and usually, and when answers are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import fmean
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, func, select

from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from collections.abc import Sequence
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

#: Seconds between the least and the most that a describe may have taken which are worth telling apart.
_EXACT: Final = 0.01

#: HTTP statuses from here on take no image; it stands for no answer, too.
_NO_ANSWER: Final = 400

#: Answers that a poll brings on average where they come one by one: as many polls as half of the images.
_ANSWERS_A_POLL: Final = 2.0


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
            # Of an adopted one it is not known when the service took it.
            ~_is_adopted(tx),
        )
        .order_by(submissions.claimed_at.desc())
        .limit(number)
    )
    return [
        _took(answered_at, settled_at, started_at, finished_at)
        for result, answered_at, settled_at, started_at, finished_at in rows
        if result == Status.SUCCEEDED or _is_believable(answered_at, settled_at, started_at, finished_at)
    ]


def on_their_way_since(tx: Transaction, account: str) -> list[datetime]:
    """Give since when each of the account's unanswered images has been on its way.

    One whose task was only found in the service's list was on its way since about its claim.
    """
    submissions, images = tx.tables.submissions.c, tx.tables.images
    # One look-up by token for each, however little the database knows of the sizes of both tables.
    its_own = (submissions.submit_token == images.c.submit_token, _is_adopted(tx))
    claimed_at = select(submissions.claimed_at).where(*its_own).scalar_subquery()
    mine = (images.c.account == account, has_status(images, *IN_FLIGHT), images.c.submitted_at.is_not(None))
    return list(tx.connection.scalars(select(func.coalesce(claimed_at, images.c.submitted_at)).where(*mine)))


def _is_adopted(tx: Transaction) -> ColumnElement[bool]:
    """Give the condition that a submission's task was found in the service's list: no answer to its POST named it."""
    return func.coalesce(tx.tables.submissions.c.http_status, _NO_ANSWER) >= _NO_ANSWER


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


@dataclass(frozen=True, slots=True)
class DueAnswers:
    """The images on their way at one moment, and how long describes took of late.

    An image is *overdue* if, at the last poll, it had been on its way for longer than any of these describes.

    :param ages: seconds since each was submitted.
    :param took: how long the latest describes took; empty if none is known.
    :param heard_ago: seconds since the last poll: images that were submitted before it had not ended by then.
    """

    ages: Sequence[float]
    took: Sequence[Took]
    heard_ago: float = 0.0

    @property
    def overdue_by(self) -> float | None:
        """Seconds by which the latest of the overdue images was overdue at the last poll; None if there is none."""
        longest = max((one.most for one in self.took), default=0.0)
        at_the_poll = [age - self.heard_ago for age in self.ages]
        return min((age - longest for age in at_the_poll if age >= longest), default=None)

    @property
    def first_after(self) -> float | None:
        """Seconds after its submission in which the first answer may come; None if that is not known."""
        return min((one.least for one in self.took), default=None)

    def best_poll(self, interval: float) -> float | None:
        """Give in how many seconds a poll costs least per answer; None if no image is still in its time.

        A poll costs what the slots have idled by then, and the request. By renewal theory the best end of a cycle is
        where ``(price of the request + idle slot seconds so far) / answers so far`` is smallest.
        Each image ends after any of the times that are known, and that it has not reached, with the same likelihood.

        :param interval: seconds between two polls where answers come at any time.
        """
        times = self._possible_ends()
        if not times:
            return None
        price = self._price(interval)
        answers = moments = 0.0
        best, least = 0.0, float("inf")
        for number, (end, likelihood) in enumerate(times):
            answers += likelihood
            moments += likelihood * end
            if number + 1 < len(times) and times[number + 1][0] <= 0:
                continue
            poll = max(end, 0.0)
            cost = (price + answers * poll - moments) / answers
            if cost < least:
                best, least = poll, cost
        return best

    def _possible_ends(self) -> list[tuple[float, float]]:
        """Give in how many seconds images may end, each with its likelihood, in order."""
        seconds = [second for one in self.took for second in _within(one)]
        ends: list[tuple[float, float]] = []
        for age in self.ages:
            ahead = [second - age for second in seconds if second > max(0.0, age - self.heard_ago)]
            ends += ((end, 1 / len(ahead)) for end in ahead)
        return sorted(ends)

    def _price(self, interval: float) -> float:
        """Give the idle slot seconds that one request is worth.

        Where answers come one by one, ``apart`` seconds from each other, the cheapest pause is
        ``sqrt(2 * price * apart)``, as with the economic order quantity. The price makes this the time of some
        answers, but not longer than the usual interval.
        """
        longest, shortest = max(one.most for one in self.took), min(one.least for one in self.took)
        apart = max(_EXACT, fmean(one.seconds for one in self.took) / len(self.ages))
        at_most = interval**2 / (2 * max(_EXACT, min(apart, longest - shortest)))
        return min(_ANSWERS_A_POLL**2 / 2 * apart, at_most)


def _within(took: Took) -> tuple[float, ...]:
    """Give the times that stand for one describe."""
    if took.most - took.least < _EXACT:
        return (took.most,)
    return (took.least, (took.least + took.most) / 2, took.most)


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
