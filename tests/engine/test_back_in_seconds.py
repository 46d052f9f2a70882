"""After a kill no pause is longer than it has to be: counted in the seconds that the engine asks to wait."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_midjourney.describe.engine import loop
from airflow_midjourney.describe.engine.advance import advance
from airflow_midjourney.describe.engine.context import Watcher, holders_of, new_holder
from airflow_midjourney.describe.engine.settle import settle
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import leases, poll_schedule
from airflow_midjourney.describe.table.accounts import read_account, update_account
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.doubt.unanswered import LOOKED_FOR_AFTER
from airflow_midjourney.testing.simulator.serving import UNTIL_HURRIED
from tests.support import rows
from tests.support.batches import all_submitted, options, origin, put_photos, work_on
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

IMAGES = 4

#: What a person may have to wait for until the images of a killed worker are back.
BACK_WITHIN = 10.0


def kill_before_the_answers_are_written(database: Database, *, polling: bool) -> None:
    """Leave the table as a worker does that is killed with its answers in hand, and perhaps amid a poll."""
    with database.writing() as tx:
        unanswered = {"outcome": Outcome.SENT.value, "task_id": None, "answered_at": None}
        tx.connection.execute(tx.tables.submissions.update().values(claimed_at=tx.now, **unanswered))
        for row in rows.image_rows(tx):
            cut = {"status": Status.SUBMITTING.value, "task_id": None, "submitted_at": None, "updated_at": tx.now}
            rows.set_columns(tx, row["id"], in_doubt_after=tx.now + timedelta(seconds=180), **cut)
        if polling:
            rows.set_account(tx, next_poll_at=tx.now, calls_from=None)


def wait_until_all_have_ended(service: RunningSimulator) -> None:
    deadline = time.monotonic() + 60
    while {task["status"] for task in service.tasks()} != {"SUCCESS"}:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
@pytest.mark.parametrize("polling", [False, True], ids=["while it sends", "while it polls"])
def test_the_images_of_a_killed_worker_are_back_within_ten_seconds_of_pauses(
    database: Database,
    s3: S3Client,
    bucket: str,
    simulate: Callable[..., RunningSimulator],
    monkeypatch: pytest.MonkeyPatch,
    dialect: str,
    polling: bool,
) -> None:
    put_photos(s3, bucket, range(IMAGES))
    scope = Scope(bucket, ("in/",))
    service = simulate(dialect=dialect, latency=8.0, slots=9)
    engine = Engine(database, s3, service.url, account={"submit_deadline": 60.0, "poll_interval": 3.0})
    # trueai answers a submission only after it has uploaded the image.
    work_on(engine, scope, until=all_submitted)
    kill_before_the_answers_are_written(database, polling=polling)
    if polling:
        with database.writing() as tx:
            assert poll_schedule.take_poll_turn(tx, engine.settings) is not None
    waited: list[float] = []

    async def let_it_pass(database: Database, _account: Any, seconds: float, _stirred: object) -> None:
        waited.append(seconds)
        with database.writing() as tx:
            rows.let_time_pass(tx, timedelta(seconds=seconds))

    monkeypatch.setattr(loop, "pause", let_it_pass)
    work_on(engine, scope, until=lambda now: now.open.submitting == 0)

    assert sum(waited) <= BACK_WITHIN + 0.1
    assert len(waited) <= 4
    assert service.counters()["billed"] == IMAGES


def test_all_but_what_was_cut_goes_on_in_the_first_step_of_the_next_try(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    put_photos(s3, bucket, range(6))
    service = simulate(latency=UNTIL_HURRIED, slots=9)
    engine = Engine(database, s3, service.url, account={"submit_deadline": 60.0, "max_in_flight": 3})

    async def killed_and_tried_again() -> None:
        batch = await database.write(open_batch, Scope(bucket, ("in/",)), options(), origin())
        dead = new_holder(batch.batch_id)
        async with engine.worker() as worker:
            worker.holder = dead
            while (await advance(worker, batch.batch_id)).handled:
                pass
        with database.writing() as tx:
            # It was reading two images ahead, and had claimed one that the service has never seen.
            ahead = leases.find_unread(tx, batch, 2)
            assert len(leases.reserve_these(tx, batch, ahead, f"{dead}-ahead")) == 2
            cut = {"status": Status.SUBMITTING.value, "task_id": None, "submitted_at": None, "submit_token": "cut"}
            rows.set_columns(tx, 1, in_doubt_after=tx.now + timedelta(seconds=180), updated_at=tx.now, **cut)
        service.hurry()
        wait_until_all_have_ended(service)
        with database.writing() as tx:
            update_account(tx, engine.settings.identity, next_poll_at=tx.now)
            leases.end_leases(tx, holders_of(batch.batch_id))
        async with engine.worker(try_number=2) as worker:
            progress = await advance(worker, batch.batch_id)
            assert progress.open.submitting == 1
            assert progress.room == 0

    asyncio.run(killed_and_tried_again())

    with database.reading() as tx:
        statuses = [Status(row["status"]) for row in rows.image_rows(tx)]
    sent, ended = [Status.SUBMITTED] * 2, [Status.SUCCEEDED] * 2
    assert statuses == [Status.SUBMITTING, *ended, *sent, Status.PENDING]


def test_a_task_that_had_ended_when_it_was_adopted_has_its_answer_by_the_same_poll(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    put_photos(s3, bucket, range(IMAGES))
    service = simulate(latency=UNTIL_HURRIED, slots=9)
    engine = Engine(database, s3, service.url, account={"submit_deadline": 60.0})
    work_on(engine, Scope(bucket, ("in/",)), until=all_submitted)
    kill_before_the_answers_are_written(database, polling=False)
    service.hurry()
    wait_until_all_have_ended(service)

    async def poll_once() -> None:
        with database.writing() as tx:
            rows.let_time_pass(tx, timedelta(seconds=LOOKED_FOR_AFTER))
        async with engine.worker() as worker:
            await settle(worker)

    asyncio.run(poll_once())

    with database.reading() as tx:
        assert {row["status"] for row in rows.image_rows(tx)} == {Status.SUCCEEDED}
    # One list of all tasks, one question about those that were adopted; and one that proved the key.
    assert service.counters()["requests"] == {"submit": IMAGES, "list": 1, "list_by_condition": 2}


def test_a_look_is_due_when_the_first_submission_should_have_had_its_answer(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        rows.claim_next(tx, batch)
        rows.set_account(tx, next_poll_at=tx.now + timedelta(hours=1), calls_from=tx.now)
        state = read_account(tx, rows.ACCOUNT.identity)

    due_in = (poll_schedule.poll_due_at(state) - state.now).total_seconds()

    assert due_in == pytest.approx(LOOKED_FOR_AFTER, abs=0.5)


def test_a_poller_that_dies_is_followed_by_another_long_before_a_request_may_end(database: Database) -> None:
    with database.writing() as tx:
        rows.open_batch(tx)
        assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT) is not None
    with database.writing() as tx:
        assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT) is None
        rows.let_time_pass(tx, timedelta(seconds=poll_schedule.TURN_LASTS + 0.1))

    with database.writing() as tx:
        assert poll_schedule.take_poll_turn(tx, rows.ACCOUNT) is not None
    assert rows.ACCOUNT.submit_deadline > poll_schedule.TURN_LASTS


def test_a_poll_of_a_slow_service_keeps_its_turn(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    # It is held far more often than it has to be: no machine is too busy for that.
    often = SimpleNamespace(**vars(poll_schedule) | {"turn_seconds": lambda _account: 0.04})
    monkeypatch.setattr("airflow_midjourney.describe.engine.settle.poll_schedule", often)
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")])
        rows.submit_next(tx, batch)
        rows.set_account(tx, next_poll_at=tx.now)
    turns_of_others: list[object] = []
    ends: set[object] = set()

    async def answers_slowly(_ids: object) -> Any:
        while len(ends) < 5:
            await asyncio.sleep(0.02)
            turns_of_others.append(await database.write(poll_schedule.take_poll_turn, rows.ACCOUNT))
            ends.add((await database.read(read_account, rows.ACCOUNT.identity)).next_poll_at)
        return SimpleNamespace(tasks={})

    async def knows_it_not(_task_id: str) -> None:
        return None

    client = cast("Any", SimpleNamespace(list_by_condition=answers_slowly, fetch=knows_it_not))
    asyncio.run(settle(Watcher(database=database, service=cast("Any", None), client=client, account=rows.ACCOUNT)))

    assert set(turns_of_others) == {None}


def test_a_turn_that_another_process_has_taken_is_not_held(database: Database) -> None:
    with database.writing() as tx:
        rows.open_batch(tx)
        turn = poll_schedule.take_poll_turn(tx, rows.ACCOUNT)
        assert turn is not None
        rows.let_time_pass(tx, timedelta(minutes=1))
    with database.writing() as tx:
        other = poll_schedule.take_poll_turn(tx, rows.ACCOUNT)
        assert other is not None
        assert poll_schedule.hold_poll_turn(tx, rows.ACCOUNT, turn.until) is None
        assert poll_schedule.hold_poll_turn(tx, rows.ACCOUNT, other.until) is not None
