"""Pauses that a callback ends: what they cost, and when they end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from airflow_midjourney.describe.engine import waiting as waiting_module
from airflow_midjourney.describe.service.callback_url import digest_of
from airflow_midjourney.describe.table.callbacks import mark_called
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.table.database import Database

CALLED = replace(rows.ACCOUNT, callbacks=True)
VALUE = "v" * 32
FOR_EVER = 3600.0


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_module, "LISTENS_EVERY", 0.05)


@pytest.fixture
def waiting(database: Database) -> Database:
    """A row on its way that asks for callbacks."""
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        row = rows.submit_next(tx, batch)
        rows.set_columns(tx, row.id, callback_digest=digest_of(VALUE))
    return database


@pytest.fixture
def read(waiting: Database) -> Iterator[list[str]]:
    """The statements that look at a table."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "image_prompts" in statement:
            seen.append(statement)

    event.listen(waiting.engine, "before_cursor_execute", note)
    yield seen
    event.remove(waiting.engine, "before_cursor_execute", note)


def test_where_no_callbacks_are_asked_for_it_only_waits(waiting: Database, read: list[str]) -> None:
    asyncio.run(waiting_module.pause(waiting, rows.ACCOUNT, 0.3))

    assert read == []


def test_it_costs_one_read_each_time(waiting: Database, read: list[str]) -> None:
    async def until_it_has_looked_some_times() -> float:
        began, stirred = time.monotonic(), asyncio.Event()
        pause = asyncio.create_task(waiting_module.pause(waiting, CALLED, FOR_EVER, stirred))
        while len(read) < 5:
            await asyncio.sleep(0.01)
        took = time.monotonic() - began
        stirred.set()
        await pause
        return took

    took = asyncio.run(until_it_has_looked_some_times())

    assert took >= 5 * waiting_module.LISTENS_EVERY
    assert all(statement.startswith("SELECT") for statement in read)


def test_a_callback_ends_it(waiting: Database) -> None:
    async def called_meanwhile() -> None:
        pause = asyncio.create_task(waiting_module.pause(waiting, CALLED, FOR_EVER))
        await asyncio.sleep(0.2)
        assert not pause.done()
        await waiting.write(mark_called, [digest_of(VALUE)])
        await asyncio.wait_for(pause, 60)

    asyncio.run(called_meanwhile())


@pytest.mark.parametrize("account", [CALLED, rows.ACCOUNT])
def test_whoever_is_stirred_goes_on_at_once(waiting: Database, account: Any) -> None:
    async def stirred_meanwhile() -> None:
        stirred = asyncio.Event()
        pause = asyncio.create_task(waiting_module.pause(waiting, account, FOR_EVER, stirred))
        await asyncio.sleep(0.1)
        assert not pause.done()
        stirred.set()
        await asyncio.wait_for(pause, 60)

    asyncio.run(stirred_meanwhile())


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_is_no_pause(waiting: Database, read: list[str], seconds: float) -> None:
    asyncio.run(waiting_module.pause(waiting, CALLED, seconds))

    assert read == []
