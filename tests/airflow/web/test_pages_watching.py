"""Many who look at one batch cost the database one look, and a costly look is kept for longer."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.queries.batch import overview
from airflow_midjourney.web import snapshots
from airflow_midjourney.web.snapshots import Watch
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database


@pytest.fixture
def batch(table: Database) -> Batch:
    """A batch with two images that are pending."""
    with table.writing() as tx:
        opened = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a"), rows.listed("b")])
    return opened


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The looks that reach the database, each of which takes a while."""
    seen: list[str] = []

    def slow(tx: Any, batch_id: str, account: Any) -> Any:
        seen.append(batch_id)
        time.sleep(0.1)
        return overview(tx, batch_id, account)

    monkeypatch.setattr(snapshots, "overview", slow)
    return seen


def run(*asked: Callable[[], Any]) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(one() for one in asked), return_exceptions=True)

    return asyncio.run(all_of_them())


def test_all_who_ask_at_once_get_one_look(table: Database, batch: Batch, looks: list[str]) -> None:
    watch = Watch()

    found = run(*[lambda: watch.look(table, batch)] * 20)

    assert looks == [batch.batch_id]
    assert {look.found.counts.pending for look in found} == {2}


def test_a_costly_look_is_kept_and_the_page_told_when_to_ask_again(
    table: Database, batch: Batch, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    moments = [1000.0]
    costly = snapshots.overview

    def takes_a_tenth_of_a_second(*given: Any) -> Any:
        moments.append(moments[-1] + 0.1)
        return costly(*given)

    monkeypatch.setattr(snapshots, "overview", takes_a_tenth_of_a_second)
    monkeypatch.setattr(snapshots, "time", SimpleNamespace(monotonic=lambda: moments[-1]))

    (first,) = run(lambda: watch.look(table, batch))
    (second,) = run(lambda: watch.look(table, batch))
    kept_for = first.fresh_until - moments[-1]
    watch.looks[batch.batch_id] = snapshots.Look(first.found, fresh_until=0.0)
    run(lambda: watch.look(table, batch))

    assert second is first
    assert kept_for == pytest.approx(2.0)
    assert second.ask_again_after >= 1.0
    assert looks == [batch.batch_id] * 2


def test_who_leaves_takes_nothing_from_the_others(table: Database, batch: Batch, looks: list[str]) -> None:
    watch = Watch()

    async def leave_and_stay() -> Any:
        leaving = asyncio.create_task(watch.look(table, batch))
        staying = asyncio.create_task(watch.look(table, batch))
        await asyncio.sleep(0.02)
        leaving.cancel()
        return await staying

    assert asyncio.run(leave_and_stay()).found.counts.total == 2
    assert looks == [batch.batch_id]


def test_a_look_that_took_too_long_is_not_repeated_at_once(table: Database, batch: Batch, looks: list[str]) -> None:
    watch = Watch()
    watch.failures[batch.batch_id] = snapshots.Failure(TableError("It takes too long."), time.monotonic() + 1000)

    assert [str(error) for error in run(*[lambda: watch.look(table, batch)] * 3)] == ["It takes too long."] * 3
    assert looks == []

    watch.failures[batch.batch_id] = snapshots.Failure(TableError("It takes too long."), 0.0)
    run(lambda: watch.look(table, batch))
    assert looks == [batch.batch_id]
    assert not watch.failures


def test_a_look_that_failed_is_not_kept(
    table: Database, batch: Batch, looks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Watch()
    good = snapshots.overview

    def away(*_: Any) -> Any:
        raise TableError("It is away.")

    monkeypatch.setattr(snapshots, "overview", away)
    failed = run(*[lambda: watch.look(table, batch)] * 3)
    monkeypatch.setattr(snapshots, "overview", good)

    assert [str(error) for error in failed] == ["It is away."] * 3
    (look,) = run(lambda: watch.look(table, batch))
    assert look.found.counts.total == 2
