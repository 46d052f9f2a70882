"""Outside the hours of its connection an account submits nothing, in any process, and a run waits for them for free."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.engine.shared_watch import Lookout, Seat
from airflow_midjourney.describe.engine.waiting import LONGEST_WAIT, WORTH_DEFERRING, expected_wait
from airflow_midjourney.describe.table import claims, leases
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.counts import count
from tests.support import rows
from tests.support.batches import all_ended, all_submitted, options, origin, put_photos
from tests.support.hours import closed_hours, open_hours, opens_soon

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.engine import Engine


def now_by(database: Database) -> datetime:
    with database.reading() as tx:
        return tx.now


@pytest.mark.parametrize(("hours", "result"), [(closed_hours, ClaimResult.NO_ROOM), (open_hours, ClaimResult.CLAIMED)])
@pytest.mark.parametrize("said_no", [False, True], ids=["together", "one by one"])
def test_a_claim_is_refused_outside_its_hours(
    database: Database, hours: Callable[..., Any], result: ClaimResult, said_no: bool
) -> None:
    account = replace(rows.ACCOUNT, submit_window=hours(now_by(database)))
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        rows.set_account(tx, blocked_reason="queue full" if said_no else None)
        images = leases.reserve(tx, batch, "holder", 2)

        found = claims.claim(tx, [rows.request(batch, image) for image in images], account)

        assert found[0] is result
        assert len(rows.bill(tx)) == found.count(ClaimResult.CLAIMED)


def test_what_was_claimed_within_the_hours_is_fetched_outside(database: Database) -> None:
    account = replace(rows.ACCOUNT, submit_window=closed_hours(now_by(database)))
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg"), rows.listed("b.jpg")])
        row = rows.submit_next(tx, batch)

        assert rows.claim_next(tx, batch, account=account)[0] is ClaimResult.NO_ROOM
        assert [one.id for one in rows.results.in_flight(tx, account.identity)] == [row.id]


# A running batch


@pytest.fixture
def batch_id(engine: Engine, scope: Scope, s3: S3Client) -> str:
    put_photos(s3, scope.bucket, range(3))
    with engine.database.writing() as tx:
        return open_batch(tx, scope, options(), origin()).batch_id


async def work_on(
    engine: Engine, batch_id: str, lines: list[str], until: Callable[[Progress], bool], *, may_leave: bool
) -> Progress:
    async with engine.worker() as worker:
        return await work(worker, batch_id, ProgressReport(lines.append), until=until, may_leave=may_leave)


def test_a_run_outside_the_hours_leaves_its_worker_and_says_until_when(
    engine: Engine, batch_id: str, service: RunningSimulator
) -> None:
    hours = engine.account["submit_window"] = closed_hours(now_by(engine.database))
    lines: list[str] = []

    left = asyncio.run(work_on(engine, batch_id, lines, all_submitted, may_leave=True))

    assert service.counters()["requests"] == {}
    assert (left.open.claimable, left.room, left.all_submitted) == (3, 0, False)
    assert WORTH_DEFERRING < 3600 < expected_wait(left, left.account.now) < 3 * 3600
    until = f"{hours.spans[0].start // 60:02}:{hours.spans[0].start % 60:02} UTC"
    assert any(line.endswith(f"; submissions wait until {until}") for line in lines)
    assert sum(line.startswith(f"Submissions wait until {until}, by the extra submit_window") for line in lines) == 1


def test_within_the_hours_a_run_is_as_ever(engine: Engine, batch_id: str) -> None:
    engine.account["submit_window"] = open_hours(now_by(engine.database))
    lines: list[str] = []

    done = asyncio.run(work_on(engine, batch_id, lines, all_ended, may_leave=False))

    with engine.database.reading() as tx:
        assert count(tx, done.batch).succeeded == 3
    assert not any("submissions wait" in line.lower() for line in lines)


def test_a_worker_that_cannot_leave_goes_on_by_itself_at_the_opening(engine: Engine, batch_id: str) -> None:
    window = engine.account["submit_window"] = opens_soon(now_by(engine.database), 2.0)

    done = asyncio.run(work_on(engine, batch_id, [], all_ended, may_leave=False))

    with engine.database.reading() as tx:
        assert count(tx, done.batch).succeeded == 3
        assert min(row["claimed_at"] for row in rows.bill(tx)) >= window.at


def test_when_the_hours_end_the_triggerer_looks_rarely_at_once(engine: Engine, batch_id: str) -> None:
    """Where a batch stands is read once a minute; that its hours have ended is known sooner."""
    now = now_by(engine.database)
    engine.account["submit_window"] = closed_hours(now)
    asyncio.run(work_on(engine, batch_id, [], all_submitted, may_leave=True))

    async def look_before_and_after() -> tuple[float, float]:
        async with engine.worker() as watcher:
            lookout = Lookout(engine.worker)
            seat = Seat(batch_id, asyncio.Event())
            lookout._seats.append(seat)
            watcher.account = replace(watcher.account, submit_window=open_hours(now))
            within = await lookout._round(watcher)
            watcher.account = replace(watcher.account, submit_window=closed_hours(now))
            return within, await lookout._round(watcher)

    within, outside = asyncio.run(look_before_and_after())

    assert within < LONGEST_WAIT == outside


def test_a_task_that_sleeps_is_woken_at_the_opening_and_nothing_is_asked_meanwhile(
    engine: Engine, batch_id: str, service: RunningSimulator
) -> None:
    engine.account["submit_window"] = closed_hours(now_by(engine.database))
    asyncio.run(work_on(engine, batch_id, [], all_submitted, may_leave=True))
    window = engine.account["submit_window"] = opens_soon(now_by(engine.database), 2.0)

    async def sleep() -> tuple[bool, datetime]:
        news = asyncio.Event()
        lookout = Lookout(engine.worker)
        seat = lookout.take_seat(batch_id, news)
        async with asyncio.timeout(120):
            while not seat.has_room:
                await news.wait()
                news.clear()
        lookout.leave(seat)
        assert seat.progress is not None
        return seat.has_room, seat.progress.account.now

    woken, at = asyncio.run(sleep())

    assert woken
    assert at >= window.at
    assert service.counters()["requests"] == {}
