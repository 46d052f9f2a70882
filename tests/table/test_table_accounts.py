"""What holds for an account over all processes: whose turn it is to poll, how long to stay away, and for how long."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.account import PATIENCE_WITH_THE_SERVICE
from airflow_midjourney.describe.table import accounts, poll_schedule
from airflow_midjourney.describe.table.poll_schedule import SILENCE_AFTER
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Database, Transaction

ME = rows.ACCOUNT.identity
HOUR = timedelta(hours=1)


@pytest.fixture
def known(database: Database) -> Database:
    with database.writing() as tx:
        accounts.ensure_account(tx, rows.ACCOUNT)
    return database


def state(tx: Transaction) -> AccountState:
    return accounts.read_account(tx, ME)


def test_an_account_that_is_known_stays_as_it_is(known: Database) -> None:
    with known.writing() as tx:
        rows.set_account(tx, paused=True, silence=5.0)
        accounts.ensure_account(tx, rows.ACCOUNT)

        assert (state(tx).paused, state(tx).silence) == (True, 5.0)


def test_one_of_many_polls(known: Database) -> None:
    def take(_: int) -> bool:
        with known.writing() as tx:
            return poll_schedule.take_poll_turn(tx, rows.ACCOUNT) is not None

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(take, range(8))) == 1


def test_a_poller_that_died_is_followed_by_another(known: Database) -> None:
    with known.writing() as tx:
        assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT)
        assert not poll_schedule.take_poll_turn(tx, rows.ACCOUNT)
        assert state(tx).next_poll_at - tx.now == timedelta(seconds=poll_schedule.TURN_LASTS)

        rows.set_account(tx, next_poll_at=tx.now)
        assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT)


def test_polls_without_news_come_further_and_further_apart(known: Database) -> None:
    def next_pause(*, news: bool) -> float:
        with known.writing() as tx:
            turn = poll_schedule.PollTurn(tx.now, called=False, heard_at=None, until=tx.now)
            poll_schedule.set_next_poll(tx, rows.ACCOUNT, turn, news=news)
            return (state(tx).next_poll_at - tx.now).total_seconds()

    pauses = [next_pause(news=False) for _ in range(12)]

    assert pauses[0] < pauses[4] < 24
    assert max(pauses) < 24
    assert next_pause(news=True) < 4


@pytest.mark.parametrize(("gap", "silence"), [(SILENCE_AFTER - 5, 0), (7200, 7200)])
def test_a_long_time_without_an_answer_is_silence(known: Database, gap: float, silence: float) -> None:
    with known.writing() as tx:
        rows.set_account(tx, answered_at=tx.now - timedelta(seconds=gap))
        poll_schedule.poll_answered(tx, ME)
        poll_schedule.poll_answered(tx, ME)

        assert state(tx).silence == pytest.approx(silence)


def test_the_time_in_which_nothing_was_on_its_way_is_no_silence(known: Database) -> None:
    with known.writing() as tx:
        rows.set_account(tx, answered_at=tx.now - HOUR)
        rows.list_images(tx, [rows.listed("a.jpg")])
        rows.submit_next(tx, rows.open_batch(tx))
        poll_schedule.poll_answered(tx, ME)

        assert state(tx).silence == 0


def test_the_first_no_opens_the_circuit_breaker_for_seconds_and_later_ones_for_longer(known: Database) -> None:
    with known.writing() as tx:
        accounts.open_breaker(tx, ME, "HTTP 503", None, failing=True)
        first = state(tx)
        assert first.is_blocked
        assert first.room(rows.ACCOUNT) == 0
        assert first.blocked_until is not None
        assert 1 < (first.blocked_until - tx.now).total_seconds() < 3

        rows.set_account(tx, submit_failing_since=tx.now - HOUR)
        accounts.open_breaker(tx, ME, "HTTP 503", None, failing=True)
        later = state(tx)
        assert later.blocked_until is not None
        assert 50 < (later.blocked_until - tx.now).total_seconds() < 70


@pytest.mark.parametrize("asked_for", [None, 1.0])
def test_pauses_grow_whatever_the_reason_and_begin_anew_after_a_yes(known: Database, asked_for: float | None) -> None:
    with known.writing() as tx:
        accounts.open_breaker(tx, ME, "queue full", asked_for, failing=False)
        rows.set_account(tx, blocked_since=tx.now - timedelta(seconds=60), blocked_until=tx.now)
        accounts.open_breaker(tx, ME, "queue full", asked_for, failing=False)
        grown = state(tx).blocked_until
        assert grown is not None
        assert 25 < (grown - tx.now).total_seconds() < 35

        rows.set_account(tx, blocked_since=tx.now - HOUR, blocked_until=tx.now)
        accounts.open_breaker(tx, ME, "queue full", asked_for, failing=False)
        longest = state(tx).blocked_until
        assert longest is not None
        assert 50 < (longest - tx.now).total_seconds() < 70

        accounts.close_breaker(tx, ME, tx.now + HOUR)
        accounts.open_breaker(tx, ME, "queue full", asked_for, failing=False)
        first = state(tx).blocked_until
        assert first is not None
        assert 1 < (first - tx.now).total_seconds() < 3


def test_a_yes_that_an_earlier_release_wrote_down_ends_the_growth_as_well(known: Database) -> None:
    with known.writing() as tx:
        rows.set_account(tx, blocked_since=tx.now - HOUR, blocked_reason=None)
        accounts.open_breaker(tx, ME, "queue full", None, failing=False)
        first = state(tx).blocked_until
        assert first is not None
        assert 1 < (first - tx.now).total_seconds() < 3


def test_the_service_says_itself_for_how_long(known: Database) -> None:
    with known.writing() as tx:
        accounts.open_breaker(tx, ME, "HTTP 429", 120.0, failing=False)
        accounts.open_breaker(tx, ME, "full", None, failing=False)

        assert state(tx).blocked_until == tx.now + timedelta(seconds=120)


def test_a_yes_closes_the_circuit_breaker_unless_the_no_came_after_it_was_sent(known: Database) -> None:
    with known.writing() as tx:
        accounts.open_breaker(tx, ME, "HTTP 429", 120.0, failing=False)
        accounts.close_breaker(tx, ME, tx.now - HOUR)
        assert state(tx).is_blocked

        accounts.close_breaker(tx, ME, tx.now + HOUR)
        assert not state(tx).is_blocked
        assert (state(tx).blocked_reason, state(tx).submit_failing_since) == (None, None)


LONG_ENOUGH = timedelta(seconds=PATIENCE_WITH_THE_SERVICE + 1)


@pytest.mark.parametrize(
    ("failing_for", "last_failed", "tried_for", "hopeless"),
    [
        (LONG_ENOUGH, timedelta(), HOUR, True),
        # A try that has just begun asks again before it gives up.
        (HOUR, timedelta(), timedelta(seconds=1), False),
        # One failure long ago is not five minutes of failures.
        (LONG_ENOUGH, LONG_ENOUGH, HOUR, False),
        (timedelta(seconds=10), timedelta(), HOUR, False),
    ],
)
@pytest.mark.parametrize("kind", ["submit", "poll"])
def test_a_run_gives_up_after_five_minutes_of_its_own_failures(
    known: Database, kind: str, failing_for: timedelta, last_failed: timedelta, tried_for: timedelta, hopeless: bool
) -> None:
    with known.writing() as tx:
        last: dict[str, Any] = {"submit": "blocked_at", "poll": "poll_failed_at"}
        rows.set_account(tx, **{f"{kind}_failing_since": tx.now - failing_for, last[kind]: tx.now - last_failed})

        assert state(tx).only_fails(tx.now - tried_for) is hopeless


def test_a_service_that_is_full_is_not_failing(known: Database) -> None:
    with known.writing() as tx:
        rows.set_account(tx, submit_failing_since=tx.now - HOUR)
        accounts.open_breaker(tx, ME, "queue full", None, failing=False)

        assert not state(tx).only_fails(tx.now - HOUR)


def test_failed_polls_stay_away_and_an_answer_ends_the_failing(known: Database) -> None:
    with known.writing() as tx:
        poll_schedule.poll_failed(tx, rows.ACCOUNT)
        failed = state(tx)
        assert failed.poll_failing_since == failed.poll_failed_at == tx.now
        assert failed.next_poll_at > tx.now

        poll_schedule.poll_answered(tx, ME)
        assert state(tx).poll_failing_since is None
