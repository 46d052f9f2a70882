"""The hours in which an account may submit, such as ``22:00-06:00 Europe/Berlin``.

A window is open while the clocks of its time zone show one of its hours. So a window keeps its hours when clocks
change: an hour that they show twice counts twice, and one that they leave out does not count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from airflow_midjourney.describe.model.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTES_A_DAY: Final = 24 * 60

#: As far as an opening can be away: a time zone that crosses the date line leaves out a whole day.
_DAYS_AHEAD: Final = 4

_SPAN: Final = re.compile(r"(\d{1,2}):(\d{2})\s*[-\u2013]\s*(\d{1,2}):(\d{2})")

_EXAMPLE: Final = "Write it as 22:00-06:00 Europe/Berlin; several spans of hours are separated by commas"


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of a day, in minutes since midnight; across midnight where the end is not after the start.

    :param end: the first minute that does not count, at most that of the next midnight.
    """

    start: int
    end: int

    def holds(self, minute: float) -> bool:
        """Say whether a minute of the day lies within."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return f"{_shown(self.start)}-{_shown(self.end)}"


@dataclass(frozen=True, slots=True)
class Opening:
    """When a window that is closed opens next.

    :param at: the moment, in UTC.
    :param zone: the time zone in which people are told of it.
    """

    at: datetime
    zone: str

    def __str__(self) -> str:
        return f"{self.at.astimezone(ZoneInfo(self.zone)):%H:%M} {self.zone}"


@dataclass(frozen=True, slots=True)
class SubmitWindow:
    """Spans of hours in a time zone, of which at least one is open each day.

    :param zone: its name in the IANA database.
    """

    spans: tuple[Hours, ...]
    zone: str

    def is_open(self, moment: datetime) -> bool:
        """Say whether the window is open at a moment."""
        local = moment.astimezone(ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute + local.second / 60 + local.microsecond / 60_000_000
        return any(span.holds(minute) for span in self.spans)

    def opening(self, moment: datetime) -> Opening | None:
        """Give when the window opens next; None while it is open."""
        if self.is_open(moment):
            return None
        turns = (turn for turn in (*self._starts(moment), *self._changes(moment)) if turn > moment)
        opens = (turn for turn in sorted(turns) if self.is_open(turn))
        return Opening(next(opens, moment.astimezone(UTC) + timedelta(days=_DAYS_AHEAD)), self.zone)

    @property
    def minutes_a_day(self) -> int:
        """For how many minutes of a usual day it is open."""
        return sum(any(span.holds(minute) for span in self.spans) for minute in range(MINUTES_A_DAY))

    def _starts(self, moment: datetime) -> Iterator[datetime]:
        """Give the moments at which clocks show the start of a span; one that they show twice is two moments."""
        zone = ZoneInfo(self.zone)
        today = moment.astimezone(zone).date()
        for days in range(_DAYS_AHEAD):
            for span in self.spans:
                day = today + timedelta(days=days)
                start = datetime(day.year, day.month, day.day, span.start // 60, span.start % 60, tzinfo=zone)
                yield from (start.replace(fold=fold).astimezone(UTC) for fold in (0, 1))

    def _changes(self, moment: datetime) -> Iterator[datetime]:
        """Give the moments at which clocks are changed: they may jump into a span, or back into it."""
        zone = ZoneInfo(self.zone)
        before = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        for _ in range(_DAYS_AHEAD * 24):
            after = before + timedelta(hours=1)
            if before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                yield _change_between(before, after, zone)
            before = after

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.spans))} {self.zone}"


def read_submit_window(text: str, what: str) -> SubmitWindow:
    """Read a window as a person wrote it.

    :param what: what messages call it.
    :raises SettingsError: if it makes no sense.
    """
    hours, _, zone = text.strip().rpartition(" ")
    if not hours or ":" in zone:
        raise SettingsError(f"{what} names no time zone: {text!r}. {_EXAMPLE}.")
    spans = tuple(_read_span(part.strip(), text, what) for part in hours.split(","))
    _check_zone(zone, what)
    return SubmitWindow(spans, zone)


def _read_span(part: str, text: str, what: str) -> Hours:
    found = _SPAN.fullmatch(part)
    if found is None:
        raise SettingsError(f"{what}: {part!r} in {text!r} is no span of hours. {_EXAMPLE}.")
    first, last = (int(found[number]) * 60 + int(found[number + 1]) for number in (1, 3))
    if max(int(found[2]), int(found[4])) > 59 or first >= MINUTES_A_DAY or last > MINUTES_A_DAY:
        raise SettingsError(f"{what}: {part!r} has a time that no clock shows. Hours go from 00:00 to 24:00.")
    if first == last or (first, last) == (0, MINUTES_A_DAY):
        raise SettingsError(f"{what}: {part!r} is no bound: leave the extra empty to submit at any time.")
    return Hours(first, last)


def _check_zone(zone: str, what: str) -> None:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        raise SettingsError(
            f"{what}: there is no time zone {zone!r} on this machine. Take a name such as Europe/Berlin, or UTC."
        ) from None


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Find the second at which clocks are changed between two moments."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before).total_seconds() // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _shown(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
