"""The trigger: when it wakes the task, and that it leaves the event loop alone."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.serde import deserialize, serialize
from sqlalchemy import event
from sqlalchemy.engine import Engine

from airflow_midjourney.describe.engine import shared_watch
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.table import batches
from airflow_midjourney.describe.table.accounts import read_account
from airflow_midjourney.describe.table.orders.pauses import SeenPause, pause_accounts, resume_accounts
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.triggers import describe as triggers
from airflow_midjourney.triggers.describe import BatchTrigger, Until
from tests.support import airflow_connections as connections
from tests.support.airflow_runs import FinishedRun, make_dag, run_dag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture(autouse=True)
def _connected(
    simulator: RunningSimulator,
    sqlite_place: MetadataPlace,
    connect: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    simulator.change(latency=1.0)
    connect(simulator, sqlite_place)
    monkeypatch.setattr(triggers, "FIRST_LOOK_AFTER", 0.0)


@pytest.fixture
def batch_id(bucket: str, put_photos: Callable[..., None]) -> str:
    """A batch with three images on their way."""
    put_photos("in/", 3)
    run = submit(bucket=bucket, prefix="in/")
    return str(run.xcom("submit"))


def submit(**arguments: Any) -> FinishedRun:
    from airflow_midjourney.operators.describe import DescribeImagesOperator

    with make_dag() as dag:
        DescribeImagesOperator(task_id="submit", **arguments)
    return run_dag(dag)


def watching(batch_id: str, until: Until = Until.ENDED) -> BatchTrigger:
    return BatchTrigger(batch_ids=[batch_id], db_conn_id="image_prompts_db", until=until)


async def first_event(trigger: BatchTrigger) -> dict[str, Any]:
    async with aclosing(trigger.run()) as events:  # type: ignore[type-var]
        payload: dict[str, Any] = (await anext(events)).payload
        return payload


def test_it_comes_back_from_airflows_database_as_it_was(batch_id: str) -> None:
    classpath, arguments = watching(batch_id, Until.SUBMITTED).serialize()

    stored = json.loads(json.dumps(serialize(arguments)))
    again = import_string(classpath)(**deserialize(stored))

    assert isinstance(again, BatchTrigger)
    assert again.serialize() == (classpath, arguments)
    assert arguments == {"batch_ids": [batch_id], "db_conn_id": "image_prompts_db", "until": "submitted"}


def test_what_an_earlier_release_left_in_airflows_database_is_taken_up(batch_id: str) -> None:
    classpath = "airflow_midjourney.triggers.describe.BatchTrigger"
    stored = json.dumps({"batch_ids": [batch_id], "db_conn_id": "image_prompts_db", "until": "ended"})

    trigger = import_string(classpath)(**deserialize(json.loads(stored)))

    assert asyncio.run(first_event(trigger)) == {"reason": "ended", "open": 0}


def test_it_wakes_the_task_when_all_have_ended(batch_id: str) -> None:
    assert asyncio.run(first_event(watching(batch_id))) == {"reason": "ended", "open": 0}


def test_it_wakes_the_operator_as_soon_as_nothing_is_left_to_submit(batch_id: str, simulator: RunningSimulator) -> None:
    simulator.change(latency=60)

    assert asyncio.run(first_event(watching(batch_id, Until.SUBMITTED)))["reason"] == "ended"


@pytest.mark.parametrize("until", list(Until))
def test_it_wakes_the_task_when_there_is_room(
    until: Until, bucket: str, put_photos: Callable[..., None], simulator: RunningSimulator
) -> None:
    simulator.change(latency=60)
    put_photos("in/", 3)
    batch_id = str(submit(bucket=bucket, prefix="in/", max_submissions=1).xcom("submit"))
    lift_the_cap(batch_id, bucket)

    assert asyncio.run(first_event(watching(batch_id, until))) == {"reason": "room", "open": 3}


def test_a_task_that_sleeps_says_who_paused_its_account_and_is_woken_when_it_is_resumed(
    bucket: str,
    put_photos: Callable[..., None],
    simulator: RunningSimulator,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_watch, "LOOK_ANYWAY_AFTER", 0.2)
    simulator.change(latency=60)
    put_photos("in/", 3)
    batch_id = str(submit(bucket=bucket, prefix="in/", max_submissions=1).xcom("submit"))
    lift_the_cap(batch_id, bucket)
    database, account = open_metadata("image_prompts_db"), MidjourneyHook("midjourney_default").account()
    database.write_here(pause_accounts, [account], "anna")

    async def resumed_while_it_sleeps() -> dict[str, Any]:
        event = asyncio.create_task(first_event(watching(batch_id)))
        async with asyncio.timeout(60):
            while "paused by anna" not in capsys.readouterr().out:
                await asyncio.sleep(0.1)
        assert not event.done()
        state = await database.read(read_account, account.identity)
        await database.write(resume_accounts, [SeenPause(account, state.paused_at)], "bob")
        return await event

    assert asyncio.run(resumed_while_it_sleeps())["reason"] == "room"


def lift_the_cap(batch_id: str, bucket: str) -> None:
    dag_id, task_id, run_id = batch_id.split("/")
    database = open_metadata()
    with database.writing() as tx:
        batches.open_batch(tx, Scope(bucket, ("in/",)), BatchOptions(), Origin(dag_id, run_id, task_id))
        batches.end_listing(tx, batch_id)


@pytest.mark.parametrize("variable", ["AIRFLOW_CONN_MIDJOURNEY_DEFAULT", "AIRFLOW_CONN_IMAGE_PROMPTS_DB"])
def test_it_leaves_it_to_the_task_to_say_that_a_connection_is_gone(
    variable: str, batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(variable)

    assert asyncio.run(first_event(watching(batch_id))) == {"reason": "stop"}


def test_it_leaves_it_to_the_task_to_say_that_the_key_is_refused(
    batch_id: str, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator.change(key="another-key")
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney(simulator.url, account=""))

    assert asyncio.run(first_event(watching(batch_id))) == {"reason": "stop"}


def test_started_again_elsewhere_it_loses_nothing(
    bucket: str, put_photos: Callable[..., None], simulator: RunningSimulator
) -> None:
    simulator.change(latency=60)
    put_photos("in/", 3)
    batch_id = str(submit(bucket=bucket, prefix="in/").xcom("submit"))

    async def interrupted() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(first_event(watching(batch_id)), 0.5)

    asyncio.run(interrupted())
    simulator.reset()
    assert simulator.counters()["billed"] == 0
    classpath, arguments = watching(batch_id, Until.SUBMITTED).serialize()

    assert asyncio.run(first_event(import_string(classpath)(**arguments)))["open"] == 3


def test_neither_database_nor_connections_are_asked_on_the_event_loop(
    batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    get_connection = BaseHook.get_connection

    def noting(_hook: type[BaseHook], conn_id: str) -> Any:
        asked.append(threading.current_thread().name)
        return get_connection(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", classmethod(noting))

    with statements_noted_in(asked):
        asyncio.run(first_event(watching(batch_id)))

    assert len(asked) > 5
    assert threading.current_thread().name not in asked


@contextmanager
def statements_noted_in(asked: list[str]) -> Iterator[None]:
    def before(*_: Any) -> None:
        asked.append(threading.current_thread().name)

    event.listen(Engine, "before_cursor_execute", before)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", before)


def test_the_first_look_waits_until_airflow_knows_that_the_task_sleeps(
    batch_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def sleeping(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.undo()
    monkeypatch.setattr(asyncio, "sleep", sleeping)

    assert asyncio.run(first_event(watching(batch_id))) == {"reason": "stop"}
    assert pauses[0] >= 10
