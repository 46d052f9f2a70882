"""What each result writes to its row and to the bill, and that it writes nothing to any other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import CURABLE, Reason, Status
from airflow_midjourney.describe.service.prompts import PARSER_VERSION
from airflow_midjourney.describe.table import results, submissions
from airflow_midjourney.describe.table.results import InFlight, RemoteTimes
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

TIMES = RemoteTimes(rows.LONG_AGO, rows.LONG_AGO + timedelta(seconds=40))
WAITED = timedelta(seconds=50)


def submitted(tx: Transaction, keys: str = "ab", **options: Any) -> list[InFlight]:
    """Have images accepted some time ago."""
    rows.list_images(tx, [rows.listed(key) for key in keys])
    batch = rows.open_batch(tx, **options)
    sent = [rows.submit_next(tx, batch, f"task-{key}").submit_token for key in keys]
    for number in range(1, len(keys) + 1):
        rows.set_columns(tx, number, submitted_at=tx.now - WAITED)
    tx.events.clear()
    return [rows.in_flight(tx, token) for token in sent]


def results_of(tx: Transaction) -> list[tuple[str | None, str | None, bool]]:
    return [(entry["result"], entry["reason"], entry["settled_at"] == tx.now) for entry in rows.bill(tx)]


def test_prompts_end_one_row_and_its_submission_and_leave_all_others_open(database: Database) -> None:
    with database.writing() as tx:
        one, _ = submitted(tx)
        other = rows.image_row(tx, 2)
        rows.described(tx, one, rows.four_prompts(), "raw", TIMES)

        row = rows.image_row(tx, 1)
        assert (row["ended_at"], row["parser_version"]) == (tx.now, PARSER_VERSION)
        assert (row["started_at"], row["finished_at"]) == (TIMES.started_at, TIMES.finished_at)
        assert rows.image_row(tx, 2) == other
        assert results_of(tx) == [("succeeded", None, True), (None, None, False)]
        assert list(tx.events) == [Event(EventKind.SUCCEEDED, waited=50.0)]


def test_prompts_with_an_unknown_time_leave_what_is_known_of_it(database: Database) -> None:
    with database.writing() as tx:
        (one,) = submitted(tx, "a")
        rows.set_columns(tx, 1, started_at=TIMES.started_at)
        rows.described(tx, one, rows.four_prompts(), "raw", RemoteTimes(finished_at=TIMES.finished_at))

        row = rows.image_row(tx, 1)
        assert (row["started_at"], row["finished_at"]) == (TIMES.started_at, TIMES.finished_at)


def test_prompts_that_come_after_the_submission_had_failed_do_not_rewrite_the_bill(database: Database) -> None:
    with database.writing() as tx:
        (one,) = submitted(tx, "a", max_attempts=1)
        results.ended(tx, one, Reason.TIMEOUT, "too long", TIMES, "")
        tx.events.clear()

        assert not rows.described(tx, one, rows.four_prompts(), "raw", TIMES)
        assert results_of(tx) == [("failed", "timeout", True)]
        assert list(tx.events) == []


@pytest.mark.parametrize("status", Status)
def test_only_what_the_service_has_is_in_flight_and_gets_prompts_or_a_failure(
    database: Database, status: Status
) -> None:
    waits = status is Status.SUBMITTED
    with database.writing() as tx:
        (one,) = submitted(tx, "a", max_attempts=1)
        rows.set_columns(tx, 1, status=status.value)
        before = rows.image_row(tx, 1)

        assert results.in_flight(tx, rows.ACCOUNT.identity) == ([one] if waits else [])
        results.started(tx, one, RemoteTimes(rows.LONG_AGO))
        results.missed(tx, one, 1.0)
        assert (rows.image_row(tx, 1) == before) == (not waits)
        before = rows.image_row(tx, 1)
        assert (results.ended(tx, one, Reason.BANNED, "no", TIMES, "") is not None) == waits
        assert (rows.image_row(tx, 1) == before) == (not waits)
        assert results_of(tx) == [("failed", "banned", True) if waits else (None, None, False)]


def test_a_row_in_flight_is_given_with_all_that_asking_about_it_needs(database: Database) -> None:
    with database.writing() as tx:
        (one,) = submitted(tx, "a")
        moments = {"started_at": rows.LONG_AGO, "missing_since": rows.LONG_AGO + WAITED}
        rows.set_columns(tx, 1, **moments, silence_before=1.5, silence_before_missing=2.5)

        assert results.in_flight(tx, "another") == []
        assert results.in_flight(tx, rows.ACCOUNT.identity) == [
            InFlight(1, "task-a", one.submit_token, "s3://photos/a", tx.now - WAITED, *moments.values(), 1.5, 2.5)
        ]


@pytest.mark.parametrize("reason", [Reason.BANNED, Reason.TIMEOUT])
@pytest.mark.parametrize("max_attempts", [1, 2])
def test_a_failure_ends_one_row_or_sends_it_round_again_and_is_on_the_bill_in_both_cases(
    database: Database, reason: Reason, max_attempts: int
) -> None:
    goes_round = reason in CURABLE and max_attempts == 2
    with database.writing() as tx:
        one, _ = submitted(tx, max_attempts=max_attempts)
        other = rows.image_row(tx, 2)
        status = results.ended(tx, one, reason, "why", TIMES, "what it said")
        row = rows.image_row(tx, 1)

        assert status == row["status"] == ("pending" if goes_round else "failed")
        assert (row["reason"], row["detail"], row["prompt_raw"]) == (reason, "why", "what it said")
        assert row["not_before"] == (tx.now + timedelta(seconds=15) if goes_round else None)
        assert row["ended_at"] == (None if goes_round else tx.now)
        assert row["finished_at"] == (None if goes_round else TIMES.finished_at)
        assert rows.image_row(tx, 2) == other
        assert results_of(tx) == [("failed", reason, True), (None, None, False)]
        failure = Event(EventKind.FAILED, reason=reason, waited=50.0)
        assert list(tx.events) == ([] if goes_round else [failure])


def test_the_attempts_that_count_are_those_of_the_row_itself(database: Database) -> None:
    with database.writing() as tx:
        one, two = submitted(tx, max_attempts=2)
        rows.set_columns(tx, 1, attempts=2)

        assert results.ended(tx, two, Reason.TIMEOUT, "why", TIMES, "") is Status.PENDING
        assert results.ended(tx, one, Reason.TIMEOUT, "why", TIMES, "") is Status.FAILED
        assert results.ended(tx, two, Reason.TIMEOUT, "why", TIMES, "") is None


def test_the_pause_before_another_attempt_grows_with_each(database: Database) -> None:
    with database.writing() as tx:
        (one,) = submitted(tx, "a", max_attempts=9)
        rows.set_columns(tx, 1, attempts=3)
        results.ended(tx, one, Reason.TIMEOUT, "why", TIMES, "")

        assert rows.image_row(tx, 1)["not_before"] == tx.now + timedelta(seconds=45)


def test_the_raw_answer_of_a_failure_takes_the_place_of_no_prompts(database: Database) -> None:
    with database.writing() as tx:
        one, other = submitted(tx, max_attempts=1)
        rows.set_columns(tx, 1, prompt_count=4, prompt_raw="paid for")
        rows.set_columns(tx, 2, prompt_raw="of another failure")
        results.ended(tx, one, Reason.UNPARSEABLE, "why", TIMES, "nonsense")
        results.ended(tx, other, Reason.LOST, "why", TIMES, "")

        assert [row["prompt_raw"] for row in rows.image_rows(tx)] == ["paid for", "of another failure"]


def test_a_row_of_another_token_is_neither_seen_nor_missed(database: Database) -> None:
    with database.writing() as tx:
        one, _ = submitted(tx)
        other = rows.image_row(tx, 2)
        results.missed(tx, one, 7.0)
        row = rows.image_row(tx, 1)
        assert (row["missing_since"], row["silence_before_missing"]) == (tx.now, 7.0)
        results.missed(tx, one, 99.0)
        assert rows.image_row(tx, 1) == row

        results.started(tx, one, TIMES)
        row = rows.image_row(tx, 1)
        assert (row["missing_since"], row["started_at"], row["finished_at"]) == (
            None,
            TIMES.started_at,
            TIMES.finished_at,
        )
        assert rows.image_row(tx, 2) == other


def test_what_became_of_a_submission_is_noted_once_and_of_no_other(database: Database) -> None:
    with database.writing() as tx:
        one, _ = submitted(tx)
        submissions.note_result(tx, one.submit_token, Status.FAILED, Reason.LOST)
        submissions.note_result(tx, one.submit_token, Status.SUCCEEDED, None)

        assert results_of(tx) == [("failed", "lost", True), (None, None, False)]


@pytest.mark.parametrize("outcome", Outcome)
def test_money_comes_back_for_what_was_accepted_and_for_nothing_else(database: Database, outcome: Outcome) -> None:
    with database.writing() as tx:
        one, two, _ = submitted(tx, "abc")
        bill = tx.tables.submissions
        tx.connection.execute(bill.update().where(bill.c.submit_token == one.submit_token).values(outcome=outcome))
        for number in (2, 3):
            rows.set_columns(tx, number, price=5)
        submissions.refund(tx, [one.submit_token, two.submit_token])

        kept = Outcome.REFUNDED if outcome is Outcome.ACCEPTED else outcome
        assert [entry["outcome"] for entry in rows.bill(tx)] == [kept, "refunded", "accepted"]
        assert [row["price"] for row in rows.image_rows(tx)][1:] == [0, 5]
