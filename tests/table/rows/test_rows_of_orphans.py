"""Orphans as rows: whose turn it is to ask for them, which they are, and what becomes of those that are not found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.accounts import account_row, ensure_account, update_account
from airflow_midjourney.describe.table.doubt import orphans
from airflow_midjourney.describe.table.doubt.orphans import Orphan, WaitedFor
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.table.database import Database, Transaction
    from airflow_midjourney.describe.table.results import InFlight

OLD = rows.ACCOUNT.identity
NEW = replace(rows.ACCOUNT, identity="https://service.example:443/new")
A_DAY = timedelta(days=1)
A_LITTLE = timedelta(milliseconds=1)
OVERDUE = timedelta(seconds=600) + A_LITTLE


def submitted(tx: Transaction, keys: str = "a") -> list[InFlight]:
    """Have images submitted by an account that no connection polls from then on, and another account beside it."""
    rows.list_images(tx, [rows.listed(key) for key in keys])
    batch = rows.open_batch(tx)
    sent = [rows.submit_next(tx, batch, f"task-{key}") for key in keys]
    ensure_account(tx, NEW)
    update_account(tx, OLD, next_poll_at=tx.now - OVERDUE)
    return sent


def column(tx: Transaction, name: str) -> list[Any]:
    return [row[name] for row in rows.image_rows(tx)]


def put_in_doubt(tx: Transaction, numbers: Sequence[int], **columns: Any) -> None:
    for number in numbers:
        rows.set_columns(tx, number, **{"status": Status.IN_DOUBT.value, "ended_at": tx.now} | columns)


@pytest.mark.parametrize(("overdue", "is_orphaned"), [(OVERDUE, True), (OVERDUE - A_LITTLE, False)])
def test_an_account_whose_poll_is_ten_minutes_overdue_has_no_connection_any_more(
    database: Database, overdue: timedelta, is_orphaned: bool
) -> None:
    with database.writing() as tx:
        (sent,) = submitted(tx)
        update_account(tx, OLD, next_poll_at=tx.now - overdue)
        orphan = Orphan(sent.id, OLD, sent.submit_token, "task-a")

        assert orphans.may_be_sought(tx, NEW.identity) == is_orphaned
        assert orphans.take_turn(tx, NEW.identity) == ([orphan] if is_orphaned else [])


def test_no_account_asks_for_its_own_rows_as_orphans(database: Database) -> None:
    with database.writing() as tx:
        submitted(tx)

        assert not orphans.may_be_sought(tx, OLD)
        assert orphans.take_turn(tx, OLD) == []


@pytest.mark.parametrize(
    ("columns", "is_orphan"),
    [({"status": status.value}, status in {"submitting", "submitted", "in_doubt"}) for status in Status]
    + [
        ({"status": "in_doubt", "doubt_checked_at": rows.LONG_AGO}, False),
        ({"status": "in_doubt", "shares_id": 1}, False),
    ],
    ids=str,
)
def test_what_is_on_its_way_or_not_decided_is_asked_for_by_its_task_where_that_is_sure(
    database: Database, columns: dict[str, Any], is_orphan: bool
) -> None:
    with database.writing() as tx:
        sent, ended = submitted(tx, "ab")
        rows.set_columns(tx, sent.id, **columns)
        # A row of the same account that has ended is none of them.
        rows.set_columns(tx, ended.id, status=Status.FAILED.value)
        task_id = "task-a" if columns["status"] == Status.SUBMITTED else None

        assert orphans.may_be_sought(tx, NEW.identity) == is_orphan
        found = orphans.take_turn(tx, NEW.identity)
        assert found == ([Orphan(sent.id, OLD, sent.submit_token, task_id)] if is_orphan else [])


@pytest.mark.parametrize(
    ("sought_for", "gap"), [(None, 15), (100.0, 15), (800.0, 100), (1e6, 600)], ids=["first", "soon", "later", "late"]
)
def test_the_next_turn_comes_the_later_the_longer_they_were_sought_in_vain_and_goes_to_one_process(
    database: Database, sought_for: float | None, gap: float
) -> None:
    with database.writing() as tx:
        submitted(tx)
        update_account(tx, OLD, sought_for=sought_for)
        # Accounts that are no orphans, or the one that asks, count for nothing.
        update_account(tx, NEW.identity, sought_for=1e9)

        rows.set_account(tx, updated_at=rows.LONG_AGO)
        assert len(orphans.take_turn(tx, NEW.identity)) == 1
        assert account_row(tx, NEW.identity)["updated_at"] == tx.now
        assert account_row(tx, NEW.identity)["seeks_from"] == tx.now + timedelta(seconds=gap)
        assert account_row(tx, OLD)["seeks_from"] is None
        assert orphans.take_turn(tx, NEW.identity) == []
        assert not orphans.may_be_sought(tx, NEW.identity)

        update_account(tx, NEW.identity, seeks_from=tx.now)
        assert orphans.may_be_sought(tx, NEW.identity)
        assert len(orphans.take_turn(tx, NEW.identity)) == 1


def test_rows_whose_tasks_are_shown_are_polled_by_this_account_at_once_and_no_timeout_counts_what_was(
    database: Database,
) -> None:
    with database.writing() as tx:
        first, second, not_asked = submitted(tx, "abc")
        for one in (first, second, not_asked):
            rows.set_columns(tx, one.id, submitted_at=tx.now - timedelta(seconds=100), missing_since=tx.now)
        rows.set_columns(tx, second.id, account=NEW.identity)
        update_account(tx, NEW.identity, next_poll_at=tx.now + A_DAY, silence=30.0, answered_at=tx.now)

        assert orphans.take_over(tx, NEW.identity, [first.submit_token, second.submit_token]) == {first.submit_token}
        assert column(tx, "account") == [NEW.identity, NEW.identity, OLD]
        assert column(tx, "silence_before") == [-70.0, 0.0, 0.0]
        assert [moment is None for moment in column(tx, "missing_since")] == [True, False, False]
        assert account_row(tx, NEW.identity)["next_poll_at"] == tx.now


@pytest.mark.parametrize("status", [status for status in Status if status not in IN_FLIGHT])
def test_a_row_that_is_not_on_its_way_is_not_taken_over_and_brings_no_poll_forward(
    database: Database, status: Status
) -> None:
    with database.writing() as tx:
        (sent,) = submitted(tx)
        rows.set_columns(tx, sent.id, status=status.value)
        update_account(tx, NEW.identity, next_poll_at=tx.now + A_DAY)

        assert orphans.take_over(tx, NEW.identity, [sent.submit_token]) == set()
        assert column(tx, "account") == [OLD]
        assert account_row(tx, NEW.identity)["next_poll_at"] == tx.now + A_DAY


def test_the_time_in_which_they_were_sought_grows_by_what_lies_between_answers_but_for_long_gaps(
    database: Database,
) -> None:
    with database.writing() as tx:
        submitted(tx)
        for last, so_far, then in ((None, None, 0.0), (50.0, 7.0, 57.0), (9999.0, 7.0, 3607.0), (-50.0, 7.0, 7.0)):
            moment = None if last is None else tx.now - timedelta(seconds=last)
            update_account(tx, OLD, sought_at=moment, sought_for=so_far)

            orphans.note_sought(tx, [OLD])
            row = account_row(tx, OLD)
            assert (row["sought_at"], row["sought_for"]) == (tx.now, then)


@pytest.mark.parametrize(("sought_for", "is_given_up"), [(86400.0, True), (86399.0, False), (None, False)])
def test_what_was_sought_for_a_day_in_vain_is_in_doubt(
    database: Database, sought_for: float | None, is_given_up: bool
) -> None:
    with database.writing() as tx:
        submitted(tx, "abcd")
        rows.set_columns(tx, 2, status=Status.SUBMITTING.value)
        put_in_doubt(tx, [3])
        put_in_doubt(tx, [4], shares_id=3)
        update_account(tx, OLD, sought_for=sought_for)
        # Nor does a day count of an account that a connection polls.
        update_account(tx, NEW.identity, sought_for=1e9)
        tx.events.clear()

        assert orphans.doubt_unfound(tx, NEW.identity) == int(is_given_up)
        assert column(tx, "status") == ["in_doubt" if is_given_up else "submitted", "submitting"] + ["in_doubt"] * 2
        checked = [moment is not None for moment in column(tx, "doubt_checked_at")]
        assert checked == [is_given_up, False, is_given_up, False]
        assert list(tx.events) == ([Event(EventKind.IN_DOUBT, rows=1)] if is_given_up else [])
        details = column(tx, "detail")
        assert ("No connection asks any more" in (details[0] or "")) == is_given_up


def test_what_is_sought_in_vain_waits_for_its_own_connection(database: Database) -> None:
    with database.writing() as tx:
        submitted(tx, "ab")
        update_account(tx, OLD, sought_for=86400.0)
        assert orphans.doubt_unfound(tx, NEW.identity) == 2
        rows.set_columns(tx, 1, submitted_at=tx.now - timedelta(seconds=100))
        rows.set_columns(tx, 2, status=Status.FAILED.value)
        update_account(tx, OLD, silence=30.0)

        assert orphans.any_to_reclaim(tx, OLD)
        assert not orphans.any_to_reclaim(tx, NEW.identity)
        assert orphans.reclaim(tx, OLD) == 1
        assert column(tx, "status") == ["submitted", "failed"]
        row = rows.image_row(tx, 1)
        assert (row["silence_before"], row["account"], row["detail"], row["ended_at"]) == (-70.0, OLD, None, None)
        assert not orphans.any_to_reclaim(tx, OLD)


@pytest.mark.parametrize(
    ("row", "entry"),
    [
        ({"account": "another"}, {}),
        ({"status": "failed"}, {}),
        ({"shares_id": 1}, {}),
        ({"submitted_at": None}, {}),
        ({}, {"outcome": Outcome.AMBIGUOUS.value}),
        ({}, {"outcome": Outcome.REFUNDED.value}),
        ({}, {"settled_at": rows.LONG_AGO}),
    ],
    ids=str,
)
def test_a_row_of_which_more_is_unknown_than_its_result_is_not_waited_for_again(
    database: Database, row: dict[str, Any], entry: dict[str, Any]
) -> None:
    with database.writing() as tx:
        (sent,) = submitted(tx)
        put_in_doubt(tx, [sent.id])
        assert orphans.any_to_reclaim(tx, OLD)
        rows.set_columns(tx, sent.id, updated_at=tx.now, **row)
        if entry:
            tx.connection.execute(tx.tables.submissions.update().values(**entry))

        assert not orphans.any_to_reclaim(tx, OLD)
        assert orphans.reclaim(tx, OLD) == 0


def test_a_twin_that_is_on_its_way_by_now_gives_its_answer_to_both(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a"), rows.listed("b")])
        batch = rows.open_batch(tx)
        rows.submit_next(tx, batch, "1", "the same")
        put_in_doubt(tx, [1])
        rows.submit_next(tx, batch, "2", "another")
        rows.set_columns(tx, 2, content_sha256=rows.image_row(tx, 1)["content_sha256"])

        assert orphans.reclaim(tx, OLD) == 0
        assert column(tx, "status") == ["in_doubt", "submitted"]


def test_the_accounts_that_a_batch_waits_for_are_given_with_their_rows_and_what_is_left_of_the_day(
    database: Database,
) -> None:
    with database.writing() as tx:
        submitted(tx, "abcd")
        rows.set_columns(tx, 2, status=Status.SUBMITTING.value)
        rows.set_columns(tx, 3, status=Status.PENDING.value)
        rows.set_columns(tx, 4, status=Status.SUBMITTED.value, account=NEW.identity)
        update_account(tx, OLD, sought_for=400.0)
        batch, elsewhere = rows.open_batch(tx), rows.open_batch(tx, Scope(rows.BUCKET, ("b",)))
        of_old = WaitedFor(OLD, 2, is_orphaned=True, seconds_left=86000.0)
        of_new = WaitedFor(NEW.identity, 1, is_orphaned=False, seconds_left=86400.0)

        assert orphans.accounts_waited_for(tx, batch, NEW.identity) == [of_old]
        assert orphans.accounts_waited_for(tx, batch, OLD) == [of_new]
        assert orphans.accounts_waited_for(tx, batch, None) == [of_old]
        assert orphans.accounts_waited_for(tx, elsewhere, NEW.identity) == [replace(of_old, rows=1)]
        update_account(tx, OLD, sought_for=1e6)
        assert orphans.accounts_waited_for(tx, batch, None) == [replace(of_old, seconds_left=0.0)]
        update_account(tx, OLD, next_poll_at=tx.now - timedelta(seconds=600))
        assert orphans.accounts_waited_for(tx, batch, None) == []
