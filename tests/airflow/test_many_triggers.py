"""Hundreds of tasks asleep over one account: in the triggerer they cost what one costs."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from airflow_midjourney.describe.engine.loop import work_off
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table import batches
from airflow_midjourney.describe.table.accounts import ensure_account
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.runtime import open_worker
from airflow_midjourney.triggers import describe as triggers
from airflow_midjourney.triggers.describe import BatchTrigger, Until
from tests.support.rows import list_images, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

MANY = 200

#: Statements of two seconds once they have all looked: those of a poll or two.
FEW = 50
SENT = 12

#: Seconds in which all have looked for the first time, and then the polls that are measured.
SETTLED_AFTER = 120.0
POLLS_MEASURED = 4


@dataclass
class Cost:
    """What the triggers of one loop did in a while.

    :param on_the_loop: those of the statements that were run in the loop's own thread, which waits for them.
    :param turns: the processor time of the loop's thread between two ticks, in seconds, longest first.
    """

    polls: int
    statements: int
    on_the_loop: int
    turns: list[float]
    seconds: float


@pytest.fixture(autouse=True)
def _connected(
    simulator: RunningSimulator,
    postgres_place: MetadataPlace,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.change(latency=600, slots=SENT)
    connect(simulator, postgres_place, max_in_flight=SENT)
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__POLL_INTERVAL", "1")
    monkeypatch.setattr(triggers, "FIRST_LOOK_AFTER", 0.0)
    # While nothing happens polls become rare; some are to fall into the time that is measured.
    monkeypatch.setattr("airflow_midjourney.describe.table.poll_schedule.LONGEST_POLL_INTERVAL", 2.0)


@pytest.fixture
def batch_ids(simulator: RunningSimulator, put_photos: Callable[..., None], bucket: str) -> list[str]:
    """Batches of one image each; a dozen are on their way and all others have no room."""
    for number in range(SENT):
        put_photos(f"in/{number:03}/", 1, first=number)
    with open_metadata().writing() as tx:
        ensure_account(tx, MidjourneyHook().account())
        ids = [waiting_batch(tx, bucket, number) for number in range(MANY)]
    asyncio.run(send(ids[:SENT]))
    assert simulator.counters()["accepted"] == SENT
    return ids


def waiting_batch(tx: Transaction, bucket: str, number: int) -> str:
    prefix = f"in/{number:03}/"
    origin = Origin("describe_images", f"run-{number}", "submit", try_number=1)
    batch = batches.open_batch(tx, Scope(bucket, (prefix,)), BatchOptions(), origin)
    if number >= SENT:
        list_images(tx, [listed(f"{prefix}000.jpg", bucket=bucket)])
        batches.end_listing(tx, batch.batch_id)
    return batch.batch_id


async def send(batch_ids: list[str]) -> None:
    for batch_id in batch_ids:
        async with open_worker("image_prompts_db", batch_id, 1) as worker:
            await work_off(worker, batch_id)


def test_they_poll_as_one_and_leave_the_event_loop_alone(batch_ids: list[str], simulator: RunningSimulator) -> None:
    one = asyncio.run(cost_of(batch_ids[:1], simulator))
    all_of_them = asyncio.run(cost_of(batch_ids, simulator))

    # An account is polled once a second, at most; two hundred triggers that each poll would ask far more often.
    assert all_of_them.polls <= 2 * all_of_them.seconds
    assert all_of_them.statements / all_of_them.polls <= 5 * one.statements / one.polls
    assert all_of_them.on_the_loop == 0
    # Collecting garbage holds a loop up now and then; a trigger that computes does so in each round.
    assert all_of_them.turns[MANY // 10] < max(0.2, 5 * one.turns[2])


def test_room_for_a_dozen_wakes_a_dozen(bucket: str) -> None:
    with open_metadata().writing() as tx:
        ensure_account(tx, MidjourneyHook().account())
        ids = [waiting_batch(tx, bucket, number) for number in range(SENT, 5 * SENT)]

    assert asyncio.run(woken(ids)) == [{"reason": "room", "open": 1}] * SENT


async def woken(batch_ids: list[str]) -> list[Any]:
    """Give the events of all that have been woken, once none is woken any more."""
    tasks = [asyncio.create_task(asleep(batch_id)) for batch_id in batch_ids]
    deadline = time.monotonic() + SETTLED_AFTER
    while sum(task.done() for task in tasks) < SENT and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    await asyncio.sleep(3)
    events = [task.result() for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return events


async def cost_of(batch_ids: list[str], simulator: RunningSimulator) -> Cost:
    tasks = [asyncio.create_task(asleep(batch_id)) for batch_id in batch_ids]
    statements: list[str] = []
    turns: list[float] = []
    ticker = asyncio.create_task(tick(turns))
    with counted_in(statements):
        await quiet(statements)
        # Two hundred at once take a while to begin.
        turns.clear()
        polls, before, began = polls_of(simulator), len(statements), time.monotonic()
        while (asked := polls_of(simulator) - polls) < POLLS_MEASURED:
            assert time.monotonic() < began + SETTLED_AFTER
            await asyncio.sleep(0.5)
        seconds = time.monotonic() - began
        on_the_loop = statements[before:].count(threading.current_thread().name)
        cost = Cost(asked, len(statements) - before, on_the_loop, sorted(turns, reverse=True), seconds)
    assert not any(task.done() for task in tasks), "all of them sleep"
    for task in (*tasks, ticker):
        task.cancel()
    await asyncio.gather(*tasks, ticker, return_exceptions=True)
    return cost


async def asleep(batch_id: str) -> Any:
    trigger = BatchTrigger(batch_ids=[batch_id], db_conn_id="image_prompts_db", until=Until.ENDED)
    async with aclosing(trigger.run()) as events:  # type: ignore[type-var]
        return (await anext(events)).payload


async def quiet(statements: list[str]) -> None:
    """Wait until all have looked for the first time: the reads of a second become few, and stay few."""
    deadline = time.monotonic() + SETTLED_AFTER
    quiet_for = 0
    while time.monotonic() < deadline:
        before = len(statements)
        await asyncio.sleep(2)
        quiet_for = quiet_for + 1 if 0 < len(statements) - before < FEW else 0
        if quiet_for == 2:
            return
    raise AssertionError("The triggers go on reading.")


async def tick(turns: list[float]) -> None:
    while True:
        began = time.thread_time()
        await asyncio.sleep(0.01)
        turns.append(time.thread_time() - began)


def polls_of(simulator: RunningSimulator) -> int:
    requests: dict[str, int] = simulator.counters()["requests"]
    return sum(number for route, number in requests.items() if route != "submit")


@contextmanager
def counted_in(statements: list[str]) -> Iterator[None]:
    """Note the thread of each statement."""

    def before(*_: Any) -> None:
        statements.append(threading.current_thread().name)

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)
