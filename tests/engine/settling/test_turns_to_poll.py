"""When a process polls, and what a poll leaves behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine import settle as settle_module
from airflow_midjourney.describe.engine.settle import settle
from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table import accounts, poll_schedule, results
from tests.support import rows
from tests.support.polling import ACCOUNT, AWAY, UNREADABLE, Service, at_work, described, statuses, submit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.service.client import TaskListing
    from airflow_midjourney.describe.table.database import Database, Transaction


def settle_with(service: Service, database: Database) -> int:
    """Poll, and leave nothing behind in the loop."""

    async def poll() -> int:
        ended = await settle(service.watcher(database))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return ended

    return asyncio.run(poll())


def make_due(database: Database) -> None:
    with database.writing() as tx:
        rows.set_account(tx, next_poll_at=tx.now)


def test_a_poll_asks_about_what_is_on_its_way_and_what_is_late_and_sets_the_next(database: Database) -> None:
    with database.writing() as tx:
        late, on_its_way = submit(tx, 2, max_attempts=1)
        results.ended(tx, late, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")
    make_due(database)
    service = Service({"0": described(late), "1": described(on_its_way)})

    assert settle_with(service, database) == 2

    assert service.asked == [["1", "0"]]
    assert statuses(database) == [Status.SUCCEEDED] * 2


def test_before_its_turn_no_process_asks(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
        rows.set_account(tx, next_poll_at=tx.now + timedelta(hours=1))
    service = Service({"0": described(row)})

    assert settle_with(service, database) == 0
    assert service.asked == []


def test_a_poll_after_which_nothing_is_due_is_not_repeated_at_once(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    make_due(database)
    service = Service({"0": at_work(row)})
    settle_with(service, database)
    with database.reading() as tx:
        state = accounts.read_account(tx, ACCOUNT.identity)

    # A turn is taken for a shorter time.
    assert state.next_poll_at > state.now + timedelta(minutes=1)
    assert state.poll_failing_since is None


@pytest.mark.parametrize("has_ended", [True, False])
def test_the_next_poll_is_set_by_whether_this_one_brought_news(
    database: Database, monkeypatch: pytest.MonkeyPatch, has_ended: bool
) -> None:
    seen: list[bool] = []
    set_next_poll = poll_schedule.set_next_poll

    def note_and_set(tx: Transaction, settings: AccountSettings, turn: Any, *, news: bool) -> None:
        seen.append(news)
        set_next_poll(tx, settings, turn, news=news)

    monkeypatch.setattr(poll_schedule, "set_next_poll", note_and_set)
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    make_due(database)

    settle_with(Service({"0": described(row) if has_ended else at_work(row)}), database)

    assert seen == [has_ended]


def test_of_an_account_with_nothing_on_its_way_no_service_is_asked_and_no_turn_is_taken(database: Database) -> None:
    service = Service()
    watcher = service.watcher(database)
    make_due(database)
    with database.reading() as tx:
        before = accounts.account_row(tx, ACCOUNT.identity)

    assert asyncio.run(settle(watcher)) == 0

    assert service.asked == []
    with database.reading() as tx:
        assert accounts.account_row(tx, ACCOUNT.identity) == before


def late_only(tx: Transaction) -> None:
    (row,) = submit(tx, 1, max_attempts=1)
    results.ended(tx, row, Reason.TIMEOUT, "too long", results.RemoteTimes(), "")


def doubtful_only(tx: Transaction) -> None:
    rows.list_images(tx, [rows.listed("a.jpg")])
    rows.claim_next(tx, rows.open_batch(tx), account=ACCOUNT)
    rows.set_columns(tx, 1, status="in_doubt", ended_at=tx.now)


@pytest.mark.parametrize(("what", "asked"), [(late_only, [["0"]]), (doubtful_only, ["all"])])
def test_what_is_late_or_in_doubt_alone_is_reason_enough_for_a_poll(
    database: Database, what: Any, asked: list[Any]
) -> None:
    with database.writing() as tx:
        what(tx)
    make_due(database)
    service = Service()

    settle_with(service, database)

    assert service.asked == asked


@pytest.mark.parametrize("error", [AWAY, UNREADABLE])
def test_a_poll_that_fails_is_noted_and_the_next_is_later(database: Database, error: Exception) -> None:
    with database.writing() as tx:
        submit(tx, 1)
    make_due(database)

    assert settle_with(Service(errors={"list": error}), database) == 0

    with database.reading() as tx:
        state = accounts.read_account(tx, ACCOUNT.identity)
    assert state.poll_failing_since is not None
    assert state.calls_from == state.next_poll_at


def test_a_poll_that_is_answered_ends_a_time_of_failures(database: Database) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
        rows.set_account(tx, poll_failing_since=tx.now, next_poll_at=tx.now)

    settle_with(Service({"0": at_work(row)}), database)

    with database.reading() as tx:
        assert accounts.read_account(tx, ACCOUNT.identity).poll_failing_since is None


def test_every_process_turns_overdue_claims_of_any_account_into_doubts(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        other = replace(ACCOUNT, identity="https://other.example:443/me")
        accounts.ensure_account(tx, other)
        rows.claim_next(tx, rows.open_batch(tx), account=other)
        rows.set_columns(tx, 1, in_doubt_after=rows.LONG_AGO)

    settle_with(Service(), database)

    assert statuses(database) == [Status.IN_DOUBT]


def test_while_the_service_takes_its_time_the_turn_is_held(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with database.writing() as tx:
        (row,) = submit(tx, 1)
    make_due(database)
    held: list[datetime] = []
    hold = poll_schedule.hold_poll_turn

    def hold_and_note(tx: Transaction, settings: AccountSettings, until: datetime) -> datetime | None:
        later = hold(tx, settings, until)
        assert later is not None
        held.append(later)
        return later

    monkeypatch.setattr(poll_schedule, "hold_poll_turn", hold_and_note)
    monkeypatch.setattr(poll_schedule, "turn_seconds", lambda _settings: 0.02)

    class SlowService(Service):
        async def list_by_condition(self, ids: Sequence[str]) -> TaskListing:
            for _ in range(6000):
                if len(held) >= 3:
                    break
                await asyncio.sleep(0.01)
            return await super().list_by_condition(ids)

    assert settle_with(SlowService({"0": described(row)}), database) == 1
    assert len(held) >= 3
    assert held == sorted(set(held))


def test_many_answers_are_written_some_at_a_time_and_counted_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settle_module, "ROWS_TOGETHER", 2)
    together: list[int] = []
    write = results.described

    def note_and_write(tx: Transaction, answers: Sequence[results.TaskAnswer]) -> list[bool]:
        together.append(len(answers))
        return write(tx, answers)

    monkeypatch.setattr(results, "described", note_and_write)
    with database.writing() as tx:
        sent = submit(tx, 5)
    make_due(database)

    assert settle_with(Service({row.task_id: described(row) for row in sent}), database) == 5
    assert together == [2, 2, 1]


@pytest.mark.parametrize("retry_helps", [False, True])
def test_an_answer_that_the_database_refuses_keeps_no_other_from_being_written(
    database: Database, monkeypatch: pytest.MonkeyPatch, retry_helps: bool
) -> None:
    write = results.described

    def write_none_of_the_last(tx: Transaction, answers: Sequence[results.TaskAnswer]) -> list[bool]:
        moved = write(tx, answers)
        if answers[-1].row.task_id == "2":
            raise TableError("the database refuses it", retry_helps=retry_helps)
        return moved

    monkeypatch.setattr(results, "described", write_none_of_the_last)
    with database.writing() as tx:
        sent = submit(tx, 3)
    make_due(database)

    with pytest.raises(TableError):
        settle_with(Service({row.task_id: described(row) for row in sent}), database)

    others = Status.SUBMITTED if retry_helps else Status.SUCCEEDED
    assert statuses(database) == [others, others, Status.SUBMITTED]
