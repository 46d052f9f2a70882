"""The account that pays: what it may do, and the rules that hold over all processes that use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from airflow_midjourney.describe.model.submit_window import Opening, SubmitWindow

#: Seconds added to a POST's deadline before a claim without an answer counts as doubtful.
DOUBT_GRACE: Final = 120.0

#: How many times ``task_timeout`` a task may take that the service still shows running, before it is replaced.
LONGEST_RUN: Final = 3.0

#: Seconds of nothing but failures after which a run gives up.
PATIENCE_WITH_THE_SERVICE: Final = 300.0


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
    :param poll_interval: seconds between two polls while answers may come at any time.
    :param doubt_grace: seconds after a POST's deadline before a claim without an answer counts as doubtful.
    :param refunds_failures: whether the service gives the money back for tasks that it reports failed.
    :param submit_window: hours within which images may be submitted; None for any time.
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
    refunds_failures: bool = False
    submit_window: SubmitWindow | None = None

    def opening(self, now: datetime) -> Opening | None:
        """Give when images may be submitted again by the hours of the connection; None while they may."""
        return None if self.submit_window is None else self.submit_window.opening(now)

    @property
    def has_cap_by_day(self) -> bool:
        """Whether the connection bounds what may be paid for in a UTC day."""
        return self.max_submissions_per_day is not None or self.max_cost_per_day is not None

    @property
    def doubt_after(self) -> float:
        """Seconds after a claim when its POST can no longer be on its way."""
        return self.submit_deadline + self.doubt_grace

    @property
    def longest_run(self) -> float:
        """Seconds for which a task that the service still shows running is waited for: another would be paid for."""
        return LONGEST_RUN * self.task_timeout

    @property
    def absence_confirmed_after(self) -> float:
        """Seconds from a list of tasks that lacks a submission to one that may confirm that it was never taken.

        A service may take a POST minutes after its client has hung up.
        """
        return max(self.submit_deadline, self.doubt_grace)
