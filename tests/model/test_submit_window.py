"""The hours in which an account may submit: as people write them, across midnight, and when clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.model.submit_window import Hours, SubmitWindow, read_submit_window

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = "Europe/Berlin"

#: Clocks go from 02:00 to 03:00 at 01:00 UTC, and from 03:00 to 02:00 at 01:00 UTC.
SPRING = datetime(2026, 3, 29, 1, tzinfo=UTC)
AUTUMN = datetime(2026, 10, 25, 1, tzinfo=UTC)


def window(text: str) -> SubmitWindow:
    return read_submit_window(text, "submit_window")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def opens(text: str, now: str) -> str | None:
    """Give when a window opens next, in UTC; None while it is open."""
    opening = window(text).opening(utc(now))
    return None if opening is None else f"{opening.at:%Y-%m-%d %H:%M}"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("22:00-06:00 Europe/Berlin", "22:00-06:00 Europe/Berlin"),
        ("  9:30 - 24:00   UTC ", "09:30-24:00 UTC"),
        ("22:00\u201306:00 Europe/Berlin", "22:00-06:00 Europe/Berlin"),
        (
            "00:00-06:00,12:00-13:00, 22:00-24:00 America/New_York",
            "00:00-06:00, 12:00-13:00, 22:00-24:00 America/New_York",
        ),
    ],
)
def test_a_window_is_read_as_people_write_it(text: str, read: str) -> None:
    assert str(window(text)) == read


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("22:00-06:00", "submit_window names no time zone: '22:00-06:00'. Write it as 22:00-06:00 Europe/Berlin"),
        ("22:00-06:00, 08:00-09:00", "names no time zone"),
        ("Europe/Berlin", "names no time zone"),
        ("nights Europe/Berlin", "'nights' in 'nights Europe/Berlin' is no span of hours. Write it as"),
        ("22-6 Europe/Berlin", "is no span of hours"),
        ("22:00-06:00, Europe/Berlin", "'' in '22:00-06:00, Europe/Berlin' is no span of hours"),
        ("22:00-06:00 Europe/Bonn", "there is no time zone 'Europe/Bonn' on this machine. Take a name such as"),
        ("22:00-06:00 Europe", "there is no time zone 'Europe'"),
        ("22:00-06:00 ../etc", "there is no time zone '../etc'"),
        ("22:60-06:00 UTC", "has a time that no clock shows"),
        ("24:00-06:00 UTC", "has a time that no clock shows"),
        ("20:00-24:01 UTC", "has a time that no clock shows"),
        ("06:00-06:00 UTC", "is no bound: leave the extra empty"),
        ("00:00-24:00 UTC", "is no bound: leave the extra empty"),
        ("", "names no time zone"),
    ],
)
def test_one_that_makes_no_sense_is_refused_with_the_way_to_write_it(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        window(text)

    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("now", "at"),
    [
        ("2026-06-01 19:59", "2026-06-01 20:00"),
        ("2026-06-01 20:00", None),
        ("2026-06-02 00:00", None),
        ("2026-06-02 03:59", None),
        ("2026-06-02 04:00", "2026-06-02 20:00"),
        ("2026-12-01 20:30", "2026-12-01 21:00"),
    ],
)
def test_a_window_across_midnight_is_one_night(now: str, at: str | None) -> None:
    assert opens("22:00-06:00 Europe/Berlin", now) == at


def test_of_several_spans_the_next_one_counts() -> None:
    spans = "00:00-06:00, 12:00-13:00 UTC"

    assert [opens(spans, f"2026-06-01 {hour}") for hour in ("05:59", "06:00", "12:30", "13:00")] == [
        None,
        "2026-06-01 12:00",
        None,
        "2026-06-02 00:00",
    ]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("02:30-05:00 Europe/Berlin", "2026-03-29 01:00"),
        ("02:15-02:45 Europe/Berlin", "2026-03-30 00:15"),
        ("03:00-04:00 Europe/Berlin", "2026-03-29 01:00"),
    ],
    ids=["a start that no clock shows", "an hour that no clock shows", "the hour after it"],
)
def test_where_clocks_leave_an_hour_out(text: str, at: str) -> None:
    assert opens(text, "2026-03-29 00:50") == at


def test_a_night_in_which_clocks_leave_an_hour_out_ends_when_they_show_its_end() -> None:
    night = window("22:00-02:30 Europe/Berlin")

    assert night.is_open(SPRING - timedelta(seconds=1))
    assert not night.is_open(SPRING)


def test_an_hour_that_clocks_show_twice_counts_twice() -> None:
    night, minutes = "22:00-02:30 Europe/Berlin", timedelta(minutes=10)

    assert [window(night).is_open(AUTUMN + number * minutes) for number in (-4, -3, -1, 0, 2, 3)] == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]
    assert opens(night, "2026-10-25 00:40") == "2026-10-25 01:00"
    assert opens("02:30-02:40 Europe/Berlin", "2026-10-25 00:45") == "2026-10-25 01:30"


def test_a_zone_that_leaves_out_a_day_opens_the_day_after() -> None:
    assert opens("10:00-11:00 Pacific/Apia", "2011-12-29 21:30") == "2011-12-30 20:00"


def test_an_opening_is_told_by_the_clocks_of_the_zone() -> None:
    assert str(window("22:00-06:00 Europe/Berlin").opening(utc("2026-12-01 12:00"))) == "22:00 Europe/Berlin"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("22:00-06:00 UTC", 480), ("10:00-12:00, 11:00-13:00 UTC", 180), ("23:00-24:00, 00:00-00:30 UTC", 90)],
)
def test_the_minutes_of_a_usual_day_count_once(text: str, minutes: int) -> None:
    assert window(text).minutes_a_day == minutes


SPANS = st.builds(Hours, st.integers(0, 1439), st.integers(0, 1440)).filter(
    lambda span: span.start != span.end and (span.start, span.end) != (0, 1440)
)
WINDOWS = st.builds(
    SubmitWindow,
    st.lists(SPANS, min_size=1, max_size=3).map(tuple),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana", "UTC"]),
)

#: Around changes of the clocks of all these zones, and between them; on a whole minute.
MOMENTS = st.one_of(
    st.tuples(
        st.sampled_from([SPRING, AUTUMN, utc("2026-03-08 06:00"), utc("2026-11-01 06:00"), utc("2026-04-04 15:00")])
    ).map(lambda one: one[0]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)).map(
        lambda one: one.replace(second=0, microsecond=0, tzinfo=UTC)
    ),
).flatmap(lambda moment: st.integers(-1600, 1600).map(lambda minutes: moment + timedelta(minutes=minutes)))


def minutes_after(moment: datetime) -> Iterator[datetime]:
    for minute in range(4 * 24 * 60):
        yield moment + timedelta(minutes=minute)


def shows_an_hour_of(spans: tuple[Hours, ...], moment: datetime, zone: str) -> bool:
    """Ask the clock on the wall, minute by minute around the day."""
    shown = moment.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    minute = int(shown[:2]) * 60 + int(shown[3:])
    return any(
        minute in range(span.start, span.end)
        if span.start < span.end
        else minute in (*range(span.start, 1440), *range(span.end))
        for span in spans
    )


@settings(max_examples=60, deadline=None)
@given(WINDOWS, MOMENTS)
def test_it_is_open_when_clocks_show_one_of_its_hours_and_opens_at_the_first_such_minute(
    hours: SubmitWindow, now: datetime
) -> None:
    first = next(one for one in minutes_after(now) if shows_an_hour_of(hours.spans, one, hours.zone))
    opening = hours.opening(now)

    assert hours.is_open(now) == (first == now)
    assert (now if opening is None else opening.at) == first


@settings(max_examples=60, deadline=None)
@given(WINDOWS)
def test_what_is_written_is_read_again(hours: SubmitWindow) -> None:
    assert window(str(hours)) == hours


@settings(max_examples=60, deadline=None)
@given(WINDOWS, MOMENTS, st.integers(0, 59))
def test_the_seconds_within_a_minute_change_nothing(hours: SubmitWindow, now: datetime, seconds: int) -> None:
    assert hours.is_open(now) == hours.is_open(now + timedelta(seconds=seconds))
