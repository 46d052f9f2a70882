"""The account that pays: what it may do, and the rules that hold over all processes that use it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from decimal import Decimal

#: Seconds added to a POST's deadline before a claim without an answer counts as doubtful.
DOUBT_GRACE: Final = 120.0

#: Seconds of nothing but failures after which a run gives up.
PATIENCE_WITH_THE_SERVICE: Final = 300.0

#: Polls further apart than this many seconds say nothing about the time between them.
SILENCE_AFTER: Final = 60.0

#: A poll that found nothing new is followed by a longer pause, up to this many seconds.
LONGEST_POLL_INTERVAL: Final = 20.0

#: How much longer it gets each time: while it is not known how long the service takes at all, it stays close.
POLL_GROWTH: Final = 1.5
FIRST_POLLS_GROWTH: Final = 1.2

#: Intervals between polls for which nobody asks where no answer can be there: failures come without notice.
LONGEST_WAIT_FOR_DUE: Final = 2.0

#: While callbacks announce the answers, polls are this far apart at most, in seconds. With what comes on top it has to
#: stay below SILENCE_AFTER. Each announced answer makes the pause so many times longer, until then.
LONGEST_ANNOUNCED_INTERVAL: Final = 45.0
ANNOUNCED_GROWTH: Final = 4.0

#: Seconds for which an answer that was announced lets us expect that the next ones are, too.
CALLBACKS_EXPECTED_FOR: Final = 3600.0

#: Seconds from a poll to the next one that a callback may bring about: after a quiet time, and while many come.
SHORTEST_CALL_GAP: Final = 1.0
CALL_GAP_OF_MANY: Final = 3.0

#: Seconds to stay away when the service says no without saying for how long: first and longest.
FIRST_PAUSE: Final = 2.0
LONGEST_PAUSE: Final = 60.0

#: While the service has said no and not yes again, the whole account sends at most one POST in this time.
PROBE_INTERVAL: Final = 1.0

#: Seconds that a process has to find out whether the service can be read again, before another may try.
PROBE_LIMIT: Final = 15.0


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """One account of the service, as its connection describes it.

    :param identity: scheme, host, port and account name, without a speed prefix.
    :param max_in_flight: images that may be on their way at once, over all runs and processes.
    :param price: what one accepted POST costs; None where it is not known.
    :param currency: of the price.
    :param max_submissions_per_day: POSTs that may be paid for in a UTC day, None for no cap.
    :param max_cost_per_day: money that may be spent in a UTC day, None for no cap; needs a price.
    :param submit_deadline: seconds that one POST may take in all.
    :param task_timeout: seconds a describe may take from its start, while the service answers.
    :param queue_timeout: seconds it may wait for its start, while the service answers.
    :param lost_after: seconds the service may deny knowing a task before it is lost.
    :param poll_interval: seconds between two polls while answers keep coming.
    :param doubt_grace: seconds after a POST's deadline before a claim without an answer counts as doubtful.
    :param callbacks: whether submissions ask for callbacks to our receiver.
    """

    identity: str
    max_in_flight: int = 12
    price: Decimal | None = None
    currency: str | None = None
    max_submissions_per_day: int | None = None
    max_cost_per_day: Decimal | None = None
    submit_deadline: float = 60.0
    task_timeout: float = 1800.0
    queue_timeout: float = 4500.0
    lost_after: float = 600.0
    poll_interval: float = 3.0
    doubt_grace: float = DOUBT_GRACE
    callbacks: bool = False

    @property
    def doubt_after(self) -> float:
        """Seconds after a claim when its POST can no longer be on its way."""
        return self.submit_deadline + self.doubt_grace


def next_poll_interval(base: float, last: float, *, news: bool, quickest: float | None = None) -> float:
    """Give the seconds until the next poll: short while answers come, longer while nothing happens.

    :param quickest: seconds that an image takes at least lately; an eighth of it is late enough to hear of one.
    """
    longest = LONGEST_POLL_INTERVAL if quickest is None else min(LONGEST_POLL_INTERVAL, quickest / 8)
    growth = FIRST_POLLS_GROWTH if quickest is None else POLL_GROWTH
    pause = base if news else min(max(last, base) * growth, max(longest, base))
    return pause * random.uniform(0.85, 1.15)  # noqa: S311


def pause_until_due(base: float, interval: float, due_in: float, *, overdue: bool) -> float:
    """Give the seconds until the next poll where the next answer is due in so many seconds.

    :param interval: seconds until it, were nothing known to be due.
    :param overdue: whether other answers should be there already, and may come at any time.
    """
    pause = max(due_in, base)
    return pause if pause <= LONGEST_WAIT_FOR_DUE * base and not overdue else min(interval, pause)


def announced_poll_interval(base: float, last: float, *, news: bool) -> float:
    """Give the seconds until the next poll while callbacks say when to ask: it is for those that get lost."""
    pause = max(last, base) * (ANNOUNCED_GROWTH if news else 1.0)
    return min(pause, max(LONGEST_ANNOUNCED_INTERVAL, base)) * random.uniform(0.85, 1.15)  # noqa: S311


def call_gap(base: float, seconds_since_last: float | None) -> float:
    """Give the seconds from a poll until a callback may bring about the next: a flood of them is no reason for one.

    :param seconds_since_last: from the poll before to this one; None if there was none.
    """
    gap_of_many = min(base, CALL_GAP_OF_MANY)
    rested = seconds_since_last is None or seconds_since_last >= gap_of_many
    return min(gap_of_many, SHORTEST_CALL_GAP) if rested else gap_of_many


def pause_after_no(seconds_failing: float, retry_after: float | None) -> float:
    """Give the seconds to stay away: what the service asked for, else longer the longer it says no."""
    if retry_after is not None:
        return min(max(retry_after, FIRST_PAUSE), LONGEST_PAUSE * 10)
    return min(max(seconds_failing / 2, FIRST_PAUSE), LONGEST_PAUSE) * random.uniform(0.85, 1.15)  # noqa: S311
