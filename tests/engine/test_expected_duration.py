"""A plan says how long its images take: at the measured pace, at the slots, and by caps and hours of a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_midjourney.describe.engine.expected_duration import ExpectedDuration
from airflow_midjourney.describe.model.submit_window import read_submit_window
from airflow_midjourney.describe.table.latency import Throughput, throughput
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

#: Three that run at once, a minute each.
THREE_A_MINUTE = Throughput(500, 10_000.0, 60.0)
NIGHTS = read_submit_window("22:00-06:00 Europe/Berlin", "submit_window")


def expected(images: int, measured: Throughput | None = THREE_A_MINUTE, **account: Any) -> ExpectedDuration:
    return ExpectedDuration(images, replace(rows.ACCOUNT, **account), measured)


def test_it_names_the_pace_and_what_the_slots_would_allow() -> None:
    assert expected(200_000).line() == (
        "That takes about 46 d 7 h at the pace of the account's latest answers (500), 3.0 a minute; with all 12 slots"
        " in use, at 60 s an image, about 11 d 13 h."
    )


def test_where_nothing_was_answered_yet_it_says_what_it_assumes() -> None:
    unknown = expected(200_000, None, max_in_flight=3)

    assert unknown.likely_seconds is None
    assert unknown.line() == (
        "How long that takes is not known before the account has answered some: about 46 d 7 h if the service runs 3 at"
        " once (max_in_flight) and takes a minute for each."
    )


@pytest.mark.parametrize(
    ("images", "account", "days", "told"),
    [
        (200_000, {"max_submissions_per_day": 200}, 999, "(at most 200 a day by the connection's caps)"),
        (200_000, {"max_cost_per_day": Decimal(10), "price": Decimal("0.05")}, 999, "(at most 200 a day"),
        (200_000, {"submit_window": NIGHTS}, 138, "(only within 22:00-06:00 Europe/Berlin)"),
        (2_880, {"submit_window": NIGHTS, "max_submissions_per_day": 1000}, 2, "caps; only within 22:00-06:00"),
        (10, {"max_cost_per_day": Decimal("0.01"), "price": Decimal("0.05")}, 9, "(at most 1 a day"),
    ],
    ids=["cap on images", "cap on money", "hours", "both", "a cap below the price"],
)
def test_caps_and_hours_of_the_day_make_it_longer(images: int, account: dict[str, Any], days: int, told: str) -> None:
    bounded = expected(images, **account)

    assert bounded.likely_seconds is not None
    assert bounded.likely_seconds // 86_400 == days
    assert told in bounded.line()


def test_what_fits_into_one_night_takes_no_longer_than_without_hours() -> None:
    assert expected(60, submit_window=NIGHTS).likely_seconds == expected(60).likely_seconds == 1200


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 10**6),
    st.sampled_from([{}, {"max_submissions_per_day": 200}, {"submit_window": NIGHTS}]),
    st.floats(0.01, 1000),
)
def test_more_images_never_take_less_time_and_bounds_never_save_any(
    images: int, account: dict[str, Any], seconds: float
) -> None:
    measured = Throughput(100, 100 * seconds, seconds)
    times = [expected(number, measured, **account).likely_seconds or 0 for number in (images, images + 1)]

    assert times[0] <= times[1]
    assert times[0] >= (expected(images, measured).likely_seconds or 0)


def test_the_pace_counts_only_the_time_in_which_something_was_asked_for(database: Database) -> None:
    """Two images side by side for ten seconds, a night of nothing, and one for twenty."""
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(3)])
        bill = tx.tables.submissions
        assert throughput(tx, rows.ACCOUNT.identity) is None
        for number, (hours, seconds) in enumerate([(9, 10), (9, 10), (1, 20)]):
            row = rows.submit_next(tx, batch, task_id=f"{number}")
            start = tx.now - timedelta(hours=hours)
            tx.connection.execute(
                bill.update()
                .where(bill.c.submit_token == row.submit_token)
                .values(answered_at=start, settled_at=start + timedelta(seconds=seconds), result="succeeded")
            )
        measured = throughput(tx, rows.ACCOUNT.identity)

    assert measured is not None
    assert (measured.answers, measured.seconds) == (3, pytest.approx(30))
    assert measured.seconds_an_image == pytest.approx(40 / 3)
