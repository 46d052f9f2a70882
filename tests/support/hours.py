"""Hours of an account that are open or closed now, whatever the time of the day is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow_midjourney.describe.model.submit_window import Hours, Opening, SubmitWindow


def hours_from(now: datetime, opens_in: timedelta, lasts: timedelta = timedelta(hours=2)) -> SubmitWindow:
    """Give a daily window in UTC that opens so much later, or earlier, on the minute."""
    starts = (now + opens_in).astimezone(UTC)
    minutes = [moment.hour * 60 + moment.minute for moment in (starts, starts + lasts)]
    return SubmitWindow((Hours(*minutes),), "UTC")


def closed_hours(now: datetime) -> SubmitWindow:
    """Give a window that opens in three hours."""
    return hours_from(now, timedelta(hours=3))


def open_hours(now: datetime) -> SubmitWindow:
    """Give a window that has been open for an hour, and is for another."""
    return hours_from(now, timedelta(hours=-1))


@dataclass(frozen=True)
class OpensAt(SubmitWindow):
    """A window that opens at a moment, to the fraction of a second, and stays open."""

    at: datetime

    def opening(self, moment: datetime) -> Opening | None:
        return Opening(self.at, "UTC") if moment < self.at else None


def opens_soon(now: datetime, seconds: float) -> OpensAt:
    """Give a window that opens in some seconds."""
    return OpensAt((), "UTC", now + timedelta(seconds=seconds))
