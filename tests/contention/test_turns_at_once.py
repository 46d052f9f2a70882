"""Two processes that look at the same turn to poll: what one has taken, the other does not move."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from airflow_midjourney.describe.table import poll_schedule
from airflow_midjourney.describe.table.accounts import account_row
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace


@pytest.fixture
def postgres(postgres_place: MetadataPlace) -> Iterator[Database]:
    """On SQLite only one transaction writes at a time, so there is no such moment."""
    opened = open_database(postgres_place.url, postgres_place.names)
    ensure_tables(opened)
    yield opened
    opened.close()


def sent_after_the_turn_was_set(database: Database) -> None:
    """An image of a known pace that goes out when the turn is due: the poll is to be put off."""
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed(name) for name in ("a.jpg", "b.jpg")], batch=batch)
        known = rows.submit_next(tx, batch, task_id="a")
        ended = known.submitted_at + timedelta(seconds=9)
        assert rows.described(tx, known, rows.four_prompts(), "raw", RemoteTimes(known.submitted_at, ended))
        bill = tx.tables.submissions
        tx.connection.execute(bill.update().values(answered_at=tx.now, settled_at=tx.now + timedelta(seconds=9)))
        rows.submit_next(tx, batch, task_id="b")
        rows.set_account(tx, next_poll_at=tx.now, answered_at=tx.now)


def test_a_poll_that_another_process_has_begun_is_not_put_off(postgres: Database) -> None:
    sent_after_the_turn_was_set(postgres)
    others: list[Callable[[Database], poll_schedule.PollTurn]] = [take_the_same_turn]
    turns: list[poll_schedule.PollTurn] = []

    def poll_meanwhile(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("UPDATE") and others:
            turns.append(others.pop()(postgres))

    event.listen(postgres.engine, "before_cursor_execute", poll_meanwhile)
    try:
        with postgres.writing() as tx:
            assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT) is None
    finally:
        event.remove(postgres.engine, "before_cursor_execute", poll_meanwhile)

    with postgres.writing() as tx:
        (turn,) = turns
        assert account_row(tx, rows.ACCOUNT.identity)["next_poll_at"] == turn.until
        assert poll_schedule.hold_poll_turn(tx, rows.ACCOUNT, turn.until) is not None


def take_the_same_turn(database: Database) -> poll_schedule.PollTurn:
    """Poll as a process does that has looked before the image went out."""
    with database.writing() as tx:
        until = tx.now + timedelta(seconds=poll_schedule.turn_seconds(rows.ACCOUNT))
        rows.set_account(tx, next_poll_at=until, calls_from=until)
        return poll_schedule.PollTurn(tx.now, called=False, heard_at=None, until=until)
