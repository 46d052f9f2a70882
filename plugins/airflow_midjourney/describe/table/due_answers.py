"""When the answers of an account are due, by what its latest describes took: the arithmetic of ``poll_schedule``."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.table.latency import Took

#: Seconds between the least and the most that a describe may have taken which are worth telling apart.
_EXACT: Final = 0.01

#: Answers that a poll brings on average where they come one by one: as many polls as half of the images.
_ANSWERS_A_POLL: Final = 2.0


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
