"""Two batches of one account side by side: the higher one is sent first, and once it is dead the lower one goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.engine import shared_watch
from airflow_midjourney.describe.engine.loop import work, work_off
from airflow_midjourney.describe.engine.precedence import slots_waited_for
from airflow_midjourney.describe.engine.progress import look
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.engine.shared_watch import Lookout
from airflow_midjourney.describe.model.batch import BatchOptions, Scope
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.table import precedence
from airflow_midjourney.describe.table.accounts import read_account
from airflow_midjourney.describe.table.batches import open_batch, read_batch
from airflow_midjourney.describe.table.counts import OpenRows, count
from airflow_midjourney.describe.table.precedence import Wait, write_waits
from tests.engine.test_costs import counted
from tests.engine.test_waiting import LISTED, progress
from tests.support import rows
from tests.support.batches import all_ended, options, origin, put_photos
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

SLOTS = 2
IMAGES = 6
FIRST = replace(LISTED, options=BatchOptions(priority=1))


@pytest.mark.parametrize(
    ("facts", "slots"),
    [
        ({"open": OpenRows(pending=40, claimable=30)}, 12),
        ({"open": OpenRows(pending=40, claimable=3)}, 3),
        ({"open": OpenRows(pending=40, claimable=30), "submissions_left": 2}, 2),
        ({"open": OpenRows(pending=40, claimable=30), "submissions_left": 0}, 0),
        ({"open": OpenRows(pending=5, sharing=5)}, 0),
        ({"open": OpenRows(pending=40, claimable=30), "batch": LISTED}, 0),
        (
            {
                "open": OpenRows(pending=40, claimable=30),
                "batch": replace(LISTED, options=BatchOptions(priority=1, plan_only=True)),
            },
            0,
        ),
    ],
)
def test_a_batch_waits_for_the_slots_that_it_could_use(facts: dict[str, Any], slots: int) -> None:
    assert slots_waited_for(progress(**{"batch": FIRST} | facts), rows.ACCOUNT) == slots


@pytest.mark.parametrize("wrong", [-1, 1001])
def test_a_priority_has_bounds(wrong: int) -> None:
    with pytest.raises(SettingsError, match="priority must be from 0 to 1000"):
        BatchOptions(priority=wrong)


# A running account


@pytest.fixture
def service(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    """A service that answers nothing while a test looks on."""
    return simulate(latency=3600)


@pytest.fixture
def engine(
    database: Database, s3: S3Client, bucket: str, service: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    put_photos(s3, bucket, range(IMAGES), "archive/")
    put_photos(s3, bucket, range(IMAGES, 2 * IMAGES), "urgent/")
    # However slow the machine is, nothing lapses unless a test says so.
    monkeypatch.setattr(precedence, "LAPSES_AFTER", 3600.0)
    return Engine(database, s3, service.url, account={"max_in_flight": SLOTS})


def opened(engine: Engine, bucket: str, prefix: str, priority: int) -> str:
    with engine.database.writing() as tx:
        batch = open_batch(tx, Scope(bucket, (prefix,)), options(priority=priority), origin(prefix))
    return batch.batch_id


def step(engine: Engine, batch_id: str, slots: int) -> int:
    """Let a worker go as far as it can without waiting, and be gone then.

    :param slots: of the account; what is in flight stays so.
    :return: how many images it has sent.
    """
    engine.account["max_in_flight"] = slots
    before = len(senders(engine))

    async def run() -> None:
        async with engine.worker() as worker:
            await work_off(worker, batch_id)

    asyncio.run(run())
    return len(senders(engine)) - before


async def to_the_end(engine: Engine, batch_id: str) -> Progress:
    async with engine.worker() as worker:
        return await work(worker, batch_id, ProgressReport(lambda line: None), until=all_ended, may_leave=False)


def senders(engine: Engine) -> list[str]:
    """Give whose images were claimed, in the order of the bill."""
    with engine.database.reading() as tx:
        return [row["batch_id"] for row in rows.bill(tx)]


def succeeded(engine: Engine, batch_id: str) -> int:
    with engine.database.reading() as tx:
        return count(tx, read_batch(tx, batch_id)).succeeded


def kept(engine: Engine) -> int:
    """Give how many slots batches without a priority leave to others."""
    with engine.database.reading() as tx:
        return read_account(tx, engine.settings.identity, 0).kept


def let_it_lapse(engine: Engine) -> None:
    """Let no process have had to do with any batch for a while."""
    with engine.database.writing() as tx:
        tx.connection.execute(tx.tables.batches.update().values(waits_until=tx.now - timedelta(seconds=1)))


def test_the_lower_one_gets_the_slots_that_the_higher_one_leaves(engine: Engine, bucket: str) -> None:
    urgent, archive = opened(engine, bucket, "urgent/", 1), opened(engine, bucket, "archive/", 0)

    assert step(engine, urgent, 2) == 2
    assert step(engine, archive, 4) == 0
    assert step(engine, urgent, 4) == 2
    assert step(engine, archive, 7) == 1
    assert step(engine, urgent, 7) == 2
    assert step(engine, archive, 12) == 5


def test_side_by_side_the_higher_one_is_sent_first(engine: Engine, bucket: str, service: RunningSimulator) -> None:
    urgent, archive = opened(engine, bucket, "urgent/", 1), opened(engine, bucket, "archive/", 0)
    service.change(latency=0.0)
    assert step(engine, urgent, 0) == 0
    engine.account["max_in_flight"] = SLOTS
    with engine.database.writing() as tx:
        write_waits(tx, [Wait(urgent, engine.settings.identity, 1, SLOTS)])

    async def run() -> None:
        await asyncio.gather(to_the_end(engine, archive), to_the_end(engine, urgent))

    asyncio.run(run())

    # As long as the higher one could use both slots, the lower one has none.
    assert senders(engine)[: IMAGES - 1] == [urgent] * (IMAGES - 1)
    assert (succeeded(engine, urgent), succeeded(engine, archive)) == (IMAGES, IMAGES)


def test_without_priorities_both_share_the_slots(engine: Engine, bucket: str) -> None:
    urgent, archive = opened(engine, bucket, "urgent/", 0), opened(engine, bucket, "archive/", 0)

    assert (step(engine, urgent, 2), step(engine, archive, 4)) == (2, 2)


def test_once_the_higher_one_is_dead_the_lower_one_goes_on(engine: Engine, bucket: str) -> None:
    urgent, archive = opened(engine, bucket, "urgent/", 1), opened(engine, bucket, "archive/", 0)
    assert (step(engine, urgent, 2), step(engine, archive, 4)) == (2, 0)

    let_it_lapse(engine)

    assert step(engine, archive, 4) == 2


def test_the_log_of_the_lower_one_says_why_it_sends_nothing(engine: Engine, bucket: str) -> None:
    urgent, archive = opened(engine, bucket, "urgent/", 1), opened(engine, bucket, "archive/", 0)
    step(engine, urgent, 2)
    step(engine, archive, 4)
    lines: list[str] = []

    async def run() -> None:
        async with engine.worker() as worker:
            await ProgressReport(lines.append).tell(worker, await look(worker, archive))

    asyncio.run(run())

    assert "2 slot(s) are kept for batches of a higher priority" in lines[-1]


def test_a_trigger_keeps_the_place_of_a_batch_that_has_no_worker(
    engine: Engine, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_watch, "SAID_EVERY", 0.0)
    urgent = opened(engine, bucket, "urgent/", 1)
    step(engine, urgent, 2)

    async def run() -> list[int]:
        lookout, found = Lookout(engine.worker), []
        seat = lookout.take_seat(urgent, asyncio.Event())
        async with asyncio.timeout(60):
            for _ in range(3):
                let_it_lapse(engine)
                while kept(engine) == 0:
                    await asyncio.sleep(0.05)
                found.append(kept(engine))
        lookout.leave(seat)
        return found

    assert asyncio.run(run()) == [SLOTS] * 3


def test_room_wakes_the_higher_one(engine: Engine, bucket: str) -> None:
    urgent, archive = opened(engine, bucket, "urgent/", 1), opened(engine, bucket, "archive/", 0)
    step(engine, urgent, 2)
    step(engine, archive, 2)
    engine.account["max_in_flight"] = 4

    async def run() -> None:
        lookout, news = Lookout(engine.worker), asyncio.Event()
        lower, higher = lookout.take_seat(archive, asyncio.Event()), lookout.take_seat(urgent, news)
        async with asyncio.timeout(60):
            while not higher.has_room:
                news.clear()
                await news.wait()
        assert not lower.has_room
        for seat in (lower, higher):
            lookout.leave(seat)

    asyncio.run(run())


@pytest.mark.parametrize(("priority", "writes"), [(0, 0), (1, 1)])
def test_a_batch_without_a_priority_writes_nothing_for_it_and_one_with_a_priority_once_in_a_while(
    engine: Engine, bucket: str, priority: int, writes: int
) -> None:
    urgent = opened(engine, bucket, "urgent/", priority)

    with counted(engine.database) as statements:
        step(engine, urgent, 2)
        step(engine, urgent, 2)

    assert sum(one.startswith("UPDATE") and "waits_for_account" in one for one in statements) == writes
