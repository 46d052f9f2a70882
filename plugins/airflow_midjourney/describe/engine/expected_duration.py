"""How long describing many images takes: by the pace of the latest answers, by slots, and by the bounds of a day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.model.durations import duration
from airflow_midjourney.describe.model.submit_window import MINUTES_A_DAY

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.latency import Throughput

_DAY: Final = 86400.0

#: Seconds that an image is taken to need where nothing is known of the service.
ASSUMED_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class ExpectedDuration:
    """How long an account takes for so many images, each sent once.

    :param measured: how fast its latest answers came; None where there are none.
    """

    images: int
    account: AccountSettings
    measured: Throughput | None

    @property
    def likely_seconds(self) -> int | None:
        """The time at the pace of the latest answers; None where there are none."""
        return None if self.measured is None else round(self._at(self.measured.per_second))

    def line(self) -> str:
        """Say it."""
        slots = self.account.max_in_flight
        if self.measured is None:
            about = duration(self._at(slots / ASSUMED_SECONDS))
            told = (
                "How long that takes is not known before the account has answered some: about"
                f" {about} if the service runs {slots} at once (max_in_flight) and takes a minute for each"
            )
        else:
            pace, each = self.measured.per_second, self.measured.seconds_an_image
            told = (
                f"That takes about {duration(self._at(pace))} at the pace of the account's latest answers"
                f" ({self.measured.answers:,}), {60 * pace:,.1f} a minute; with all {slots} slots in use, at"
                f" {each:,.0f} s an image, about {duration(self._at(slots / each))}"
            )
        return f"{told}{self._bounds()}."

    def _at(self, per_second: float) -> float:
        """Give the seconds at a pace: full days as caps and hours allow them, then the rest within its hours."""
        a_day = per_second * self._open_seconds_a_day
        cap = self._cap_of_the_day
        if cap is not None:
            a_day = min(a_day, cap)
        full_days = max(0, int((self.images - 1) // a_day))
        return full_days * _DAY + (self.images - full_days * a_day) / per_second

    @property
    def _open_seconds_a_day(self) -> float:
        window = self.account.submit_window
        return 60.0 * (MINUTES_A_DAY if window is None else window.minutes_a_day)

    @property
    def _cap_of_the_day(self) -> int | None:
        """Images that the caps of the connection allow in a day; at least one, or it would never end."""
        account = self.account
        caps = [] if account.max_submissions_per_day is None else [account.max_submissions_per_day]
        if account.max_cost_per_day is not None and account.price:
            caps.append(int(account.max_cost_per_day // account.price))
        return max(1, min(caps)) if caps else None

    def _bounds(self) -> str:
        bounds = (
            [] if self._cap_of_the_day is None else [f"at most {self._cap_of_the_day:,} a day by the connection's caps"]
        )
        if self.account.submit_window is not None:
            bounds.append(f"only within {self.account.submit_window}")
        return f" ({'; '.join(bounds)})" if bounds else ""
