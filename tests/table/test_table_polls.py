"""Images that hang are asked about less and less often; everything else is asked about as if they did not hang."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.table import accounts, poll_schedule
from airflow_midjourney.describe.table.poll_schedule import (
    LONGEST_OVERDUE_INTERVAL,
    LONGEST_POLL_INTERVAL,
    SILENCE_AFTER,
    PollTurn,
    overdue_interval,
)
from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.results import InFlight

ME = rows.ACCOUNT.identity
BASE = rows.ACCOUNT.poll_interval

#: What an image takes here, and after how many seconds a task is given up.
RUN = 14.0
TIMEOUT = 75 * 60.0

#: Seconds by which a poll may come after its moment.
A_LITTLE_LATER = 0.1


def known_pace(tx: Transaction) -> Batch:
    """One image that was described in the usual time, and others that wait."""
    rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(4)])
    batch = rows.open_batch(tx)
    row = rows.submit_next(tx, batch, task_id="first")
    times = RemoteTimes(row.submitted_at, row.submitted_at + timedelta(seconds=RUN))
    assert rows.described(tx, row, rows.four_prompts(), "raw", times)
    bill = tx.tables.submissions
    tx.connection.execute(bill.update().values(answered_at=tx.now, settled_at=tx.now + timedelta(seconds=RUN)))
    return batch


def submit(tx: Transaction, batch: Batch, task_id: str, age: float = 0.0) -> InFlight:
    row = rows.submit_next(tx, batch, task_id=task_id)
    rows.set_columns(tx, row.id, submitted_at=tx.now - timedelta(seconds=age))
    return row


def pause_after_poll(tx: Transaction, *, news: bool = False) -> float:
    poll_schedule.set_next_poll(
        tx, rows.ACCOUNT, PollTurn(tx.now, called=False, heard_at=None, until=tx.now), news=news
    )
    return until_next_poll(tx)


def until_next_poll(tx: Transaction) -> float:
    return (accounts.read_account(tx, ME).next_poll_at - tx.now).total_seconds()


def test_an_image_that_hangs_costs_a_hundred_polls_until_its_timeout_and_not_a_thousand(database: Database) -> None:
    pauses: list[tuple[float, float]] = []
    with database.writing() as tx:
        hanging = submit(tx, known_pace(tx), "hanging")
        age = RUN
        while age < TIMEOUT:
            rows.set_columns(tx, hanging.id, submitted_at=tx.now - timedelta(seconds=age))
            pauses.append((age, pause_after_poll(tx)))
            age += pauses[-1][1]

    assert len(pauses) < 150
    assert all(pause < 5 for age, pause in pauses if age < 1.5 * RUN)
    assert all(pause <= 1.15 * max(4, (age - RUN) / 8) + A_LITTLE_LATER for age, pause in pauses)
    assert pauses[-1][1] > 0.8 * LONGEST_OVERDUE_INTERVAL


def test_an_image_that_hangs_does_not_hasten_polls_for_others(database: Database) -> None:
    with database.writing() as tx:
        batch = known_pace(tx)
        submit(tx, batch, "hanging", age=1800.0)
        submit(tx, batch, "new")

        assert pause_after_poll(tx, news=True) == pytest.approx(RUN, abs=0.3)


def test_an_image_that_has_just_become_overdue_is_asked_about_often_whatever_hangs_beside_it(
    database: Database,
) -> None:
    with database.writing() as tx:
        batch = known_pace(tx)
        submit(tx, batch, "hanging", age=1800.0)
        submit(tx, batch, "late", age=RUN + 2)
        rows.set_account(tx, poll_interval=LONGEST_OVERDUE_INTERVAL)

        assert pause_after_poll(tx) < 5


def test_news_bring_the_usual_pace_back(database: Database) -> None:
    with database.writing() as tx:
        submit(tx, known_pace(tx), "hanging", age=1800.0)
        rows.set_account(tx, poll_interval=LONGEST_OVERDUE_INTERVAL)

        assert pause_after_poll(tx) > 30
        assert pause_after_poll(tx, news=True) < 1.2 * BASE


def test_a_new_submission_beside_one_that_hangs_brings_the_next_poll_forward(database: Database) -> None:
    with database.writing() as tx:
        batch = known_pace(tx)
        submit(tx, batch, "hanging", age=1800.0)
        rows.set_account(tx, poll_interval=LONGEST_OVERDUE_INTERVAL)
        assert pause_after_poll(tx) > 30

        submit(tx, batch, "new")

        assert until_next_poll(tx) == pytest.approx(RUN, abs=0.3)


def test_a_new_submission_brings_no_poll_forward_while_the_service_does_not_answer(database: Database) -> None:
    with database.writing() as tx:
        batch = known_pace(tx)
        submit(tx, batch, "hanging", age=1800.0)
        poll_schedule.poll_failed(tx, rows.ACCOUNT, retry_after=300.0)

        submit(tx, batch, "new")

        assert until_next_poll(tx) == pytest.approx(300.0)


def test_a_new_submission_takes_the_turn_from_no_process_that_polls(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the usual pause, after which a submission would bring a poll forward.
    monkeypatch.setattr(poll_schedule, "TURN_LASTS", 2 * LONGEST_POLL_INTERVAL)
    with database.writing() as tx:
        batch = known_pace(tx)
        submit(tx, batch, "hanging", age=1800.0)
        rows.set_account(tx, next_poll_at=tx.now, answered_at=tx.now - timedelta(minutes=1))
        assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT) is not None

        submit(tx, batch, "new")

        assert until_next_poll(tx) == poll_schedule.TURN_LASTS


def test_while_no_answer_has_ever_come_polls_grow_rarer_with_the_wait(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("0.jpg")])
        row = submit(tx, rows.open_batch(tx), "first")
        rows.set_account(tx, poll_interval=LONGEST_POLL_INTERVAL)
        assert pause_after_poll(tx) <= 1.15 * LONGEST_POLL_INTERVAL

        rows.set_columns(tx, row.id, submitted_at=tx.now - timedelta(seconds=240))
        rows.set_account(tx, poll_interval=LONGEST_OVERDUE_INTERVAL)

        assert 0.85 * 30 <= pause_after_poll(tx) <= 1.15 * 30


@pytest.mark.parametrize("overdue_by", [0.0, 100.0, 1e6])
def test_timeouts_go_on_counting_however_long_an_image_hangs(overdue_by: float) -> None:
    assert 1.15 * overdue_interval(overdue_by) < SILENCE_AFTER
