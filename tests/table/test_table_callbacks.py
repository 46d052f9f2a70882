"""What a callback writes, and when it makes a process poll."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.callback_url import digest_of, new_callback
from airflow_midjourney.describe.table import accounts, leases, poll_schedule, results
from airflow_midjourney.describe.table import callbacks as callbacks_table
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.poll_schedule import (
    CALL_GAP_OF_MANY,
    CALLBACKS_EXPECTED_FOR,
    LONGEST_ANNOUNCED_INTERVAL,
    SHORTEST_CALL_GAP,
    SILENCE_AFTER,
    announced_poll_interval,
    call_gap,
)
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.submissions import PostFacts
from tests.support import rows

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.poll_schedule import PollTurn
    from airflow_midjourney.describe.table.results import InFlight

CALLED = replace(rows.ACCOUNT, callbacks=True)
ME = CALLED.identity
VALUE = new_callback()


def claimed(tx: Transaction, key: str = "a.jpg", callback: str = VALUE) -> Claim:
    """Claim a row whose submission asks for callbacks."""
    batch = rows.open_batch(tx)
    rows.list_images(tx, [rows.listed(key)])
    (row,) = leases.reserve(tx, batch, "holder", 1)
    wanted = replace(rows.request(batch, row), callback_digest=digest_of(callback))
    assert rows.claim(tx, wanted, CALLED) is ClaimResult.CLAIMED
    return wanted


def submitted(tx: Transaction, key: str = "a.jpg", callback: str = VALUE) -> InFlight:
    wanted = claimed(tx, key, callback)
    assert rows.accepted(tx, wanted.submit_token, f"task-{key}", PostFacts(200, 1))
    return rows.in_flight(tx, wanted.submit_token)


def state(tx: Transaction) -> AccountState:
    return accounts.read_account(tx, ME)


def seconds_until(tx: Transaction, moment: datetime) -> float:
    return (moment - tx.now).total_seconds()


def quiet(tx: Transaction, **values: Any) -> None:
    """Put the account where it was heard a while ago and the next poll is far away."""
    past, future = tx.now - timedelta(seconds=30), tx.now + timedelta(seconds=40)
    rows.set_account(tx, **{"answered_at": past, "next_poll_at": future, "calls_from": past, **values})


def poll(tx: Transaction, *asked: InFlight, news: bool = False) -> PollTurn:
    """Take a turn that is due and end it."""
    turn = poll_schedule.take_poll_turn(tx, CALLED)
    assert turn is not None
    poll_schedule.poll_answered(tx, ME)
    if turn.called:
        callbacks_table.note_asked(tx, [row.id for row in asked], turn.taken_at)
    poll_schedule.set_next_poll(tx, CALLED, turn, news=news)
    return turn


def test_a_callback_changes_when_a_row_is_looked_at_and_nothing_else(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        quiet(tx)
        before, account_before = rows.image_row(tx, row.id), state(tx)
        assert not poll_schedule.is_called_for(tx, ME)
        assert poll_schedule.take_poll_turn(tx, CALLED) is None

        assert callbacks_table.mark_called(tx, [digest_of(VALUE)]) == 1

        after = rows.image_row(tx, row.id)
        assert {name for name in after if after[name] != before[name]} == {"called_at"}
        assert after["called_at"] == tx.now
        assert replace(state(tx), called=False) == account_before
        assert poll_schedule.is_called_for(tx, ME)
        turn = poll_schedule.take_poll_turn(tx, CALLED)
        assert turn is not None
        assert turn.called


@pytest.mark.parametrize("values", [[], ["unknown"], [new_callback()], ["' OR 1=1 --", "\x00", "x" * 10_000]])
def test_values_of_nobody_do_nothing(database: Database, values: list[str]) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        before = rows.image_row(tx, row.id)

        assert callbacks_table.mark_called(tx, [digest_of(value) for value in values]) == 0
        assert rows.image_row(tx, row.id) == before


def test_the_submit_token_is_no_callback(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)

        assert callbacks_table.mark_called(tx, [digest_of(row.submit_token), row.submit_token]) == 0


def test_after_the_row_has_ended_the_value_is_worth_nothing(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        rows.described(tx, row, rows.four_prompts(), "raw", RemoteTimes())
        before = rows.image_row(tx, row.id), state(tx)

        assert callbacks_table.mark_called(tx, [digest_of(VALUE)]) == 0
        assert (rows.image_row(tx, row.id), state(tx)) == before


def test_an_image_that_is_sent_again_has_another_value(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        rows.set_columns(tx, row.id, max_attempts=2)
        assert results.ended(tx, row, Reason.SERVICE_ERROR, "", RemoteTimes(), "") == "pending"
        rows.set_columns(tx, row.id, not_before=None)
        again = submitted(tx, callback=new_callback())

        assert again.id == row.id
        assert callbacks_table.mark_called(tx, [digest_of(VALUE)]) == 0


def test_a_callback_before_the_answer_to_the_submission_waits_for_it(database: Database) -> None:
    with database.writing() as tx:
        wanted = claimed(tx)
        quiet(tx)
        assert callbacks_table.mark_called(tx, [digest_of(VALUE)]) == 1
        assert not poll_schedule.is_called_for(tx, ME)
        assert not state(tx).called

        rows.accepted(tx, wanted.submit_token, "task", PostFacts(200, 1))

        assert poll_schedule.is_called_for(tx, ME)
        assert poll_schedule.poll_due_at(state(tx)) <= tx.now


def test_a_poll_takes_the_marks_off_that_it_has_asked_about(database: Database) -> None:
    with database.writing() as tx:
        first, second = submitted(tx, "a.jpg"), submitted(tx, "b.jpg", other := new_callback())
        quiet(tx)
        callbacks_table.mark_called(tx, [digest_of(VALUE), digest_of(other)])

        assert poll(tx, first).called

        assert rows.image_row(tx, first.id)["called_at"] is None
        assert rows.image_row(tx, second.id)["called_at"] is not None


def test_a_callback_while_the_service_is_asked_counts_for_the_next_time(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        quiet(tx)
        callbacks_table.mark_called(tx, [digest_of(VALUE)])
    with database.writing() as tx:
        turn = poll_schedule.take_poll_turn(tx, CALLED)
        assert turn is not None
        assert poll_schedule.take_poll_turn(tx, CALLED) is None
    with database.writing() as tx:
        callbacks_table.mark_called(tx, [digest_of(VALUE)])
    with database.writing() as tx:
        assert not poll_schedule.is_called_for(tx, ME)
        callbacks_table.note_asked(tx, [row.id], turn.taken_at)
        poll_schedule.set_next_poll(tx, CALLED, turn, news=False)
        rows.set_account(tx, calls_from=tx.now)

        assert poll_schedule.is_called_for(tx, ME)


def test_a_flood_makes_nobody_poll_more_often_than_without(database: Database) -> None:
    with database.writing() as tx:
        row = submitted(tx)
        quiet(tx)
        callbacks_table.mark_called(tx, [digest_of(VALUE)])
        poll(tx, row)
        assert seconds_until(tx, state(tx).calls_from or tx.now) == pytest.approx(SHORTEST_CALL_GAP)
        callbacks_table.mark_called(tx, [digest_of(VALUE)])
        assert poll_schedule.take_poll_turn(tx, CALLED) is None

        rows.set_account(tx, calls_from=tx.now, answered_at=tx.now - timedelta(seconds=SHORTEST_CALL_GAP))
        poll(tx, row)

        assert seconds_until(tx, state(tx).calls_from or tx.now) == pytest.approx(CALL_GAP_OF_MANY)


@pytest.mark.parametrize("base", [0.1, 1.0, 3.0, 60.0])
def test_the_gap_after_a_poll_is_never_longer_than_the_usual_one_and_bounded(base: float) -> None:
    assert call_gap(base, None) == call_gap(base, 1000.0) == min(base, SHORTEST_CALL_GAP)
    assert call_gap(base, 0.0) == min(base, CALL_GAP_OF_MANY)


def test_while_the_service_does_not_answer_callbacks_change_nothing(database: Database) -> None:
    with database.writing() as tx:
        submitted(tx)
        quiet(tx, poll_failing_since=tx.now - timedelta(seconds=100))
        callbacks_table.mark_called(tx, [digest_of(VALUE)])
        assert poll_schedule.take_poll_turn(tx, CALLED)
        poll_schedule.poll_failed(tx, CALLED)
        callbacks_table.mark_called(tx, [digest_of(VALUE)])

        assert not poll_schedule.is_called_for(tx, ME)
        assert poll_schedule.take_poll_turn(tx, CALLED) is None
        assert seconds_until(tx, poll_schedule.poll_due_at(state(tx))) > 30


def test_while_answers_are_announced_polls_come_further_apart_within_bounds(database: Database) -> None:
    pauses = []
    with database.writing() as tx:
        row = submitted(tx)
        for _ in range(6):
            quiet(tx)
            callbacks_table.mark_called(tx, [digest_of(VALUE)])
            poll(tx, row, news=True)
            pauses.append(seconds_until(tx, state(tx).next_poll_at))

    assert 8 < pauses[0] < pauses[1]
    assert 30 < pauses[-1] < SILENCE_AFTER
    assert max(pauses) <= LONGEST_ANNOUNCED_INTERVAL * 1.15


def trusted(tx: Transaction) -> InFlight:
    row = submitted(tx)
    quiet(tx, announced_at=tx.now, poll_interval=LONGEST_ANNOUNCED_INTERVAL)
    return row


def test_a_callback_without_news_keeps_the_pace(database: Database) -> None:
    with database.writing() as tx:
        row = trusted(tx)
        callbacks_table.mark_called(tx, [digest_of(VALUE)])
        poll(tx, row)

        assert seconds_until(tx, state(tx).next_poll_at) > 30


def test_an_answer_without_a_callback_brings_back_the_usual_pace(database: Database) -> None:
    with database.writing() as tx:
        row = trusted(tx)
        rows.set_account(tx, next_poll_at=tx.now)
        assert not poll(tx, row, news=True).called

        assert seconds_until(tx, state(tx).next_poll_at) < 4
        rows.set_account(tx, next_poll_at=tx.now)
        poll(tx, row)
        assert seconds_until(tx, state(tx).next_poll_at) < 6


@pytest.mark.parametrize(
    ("announced", "callbacks"), [(CALLBACKS_EXPECTED_FOR + 1, True), (0.0, False)], ids=["long ago", "switched off"]
)
def test_what_was_once_is_not_expected_for_ever(database: Database, announced: float, callbacks: bool) -> None:
    with database.writing() as tx:
        trusted(tx)
        rows.set_account(tx, next_poll_at=tx.now, announced_at=tx.now - timedelta(seconds=announced))
        turn = poll_schedule.take_poll_turn(tx, CALLED)
        assert turn is not None
        poll_schedule.set_next_poll(tx, replace(CALLED, callbacks=callbacks), turn, news=False)

        assert seconds_until(tx, state(tx).next_poll_at) < 24


def test_the_first_image_of_a_run_does_not_bring_back_the_usual_pace(database: Database) -> None:
    with database.writing() as tx:
        rows.described(tx, trusted(tx), rows.four_prompts(), "raw", RemoteTimes())
        submitted(tx, "b.jpg", new_callback())

        assert seconds_until(tx, state(tx).next_poll_at) == pytest.approx(LONGEST_ANNOUNCED_INTERVAL)
        assert state(tx).calls_from == tx.now


@pytest.mark.parametrize("last", [0.1, 3.0, 44.0, 500.0])
def test_timeouts_go_on_counting_however_rarely_it_is_polled(last: float) -> None:
    assert announced_poll_interval(3.0, last, news=True) < SILENCE_AFTER
