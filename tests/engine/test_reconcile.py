"""Submissions without an answer: adopted, proved never sent, or bounded by a stated choice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.engine.settle import settle
from airflow_midjourney.describe.model.batch import BatchOptions, Scope
from airflow_midjourney.describe.model.status import Status
from tests.support.batches import options, work_on
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

QUICK_DOUBT = {"submit_deadline": 0.5, "doubt_grace": 0.2}


@pytest.fixture
def scope(s3: S3Client, bucket: str) -> Scope:
    for index in range(8):
        s3.put_object(Bucket=bucket, Key=f"in/{index}.jpg", Body=jpeg(index))
    return Scope(bucket, ("in/",))


@pytest.mark.parametrize("dialect", ["novicezk", "trueai"])
def test_a_submission_that_was_taken_is_adopted_by_its_token(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator], dialect: str
) -> None:
    simulator = simulate(dialect=dialect, latency=0.2, scenarios=("ambiguous_submit_reset:first=3",))
    engine = Engine(database, s3, simulator.url, account=QUICK_DOUBT)

    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.in_doubt) == (8, 0)
    assert simulator.counters()["billed"] == 8


def test_a_submission_that_was_never_taken_is_sent_and_paid_once(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(dialect="novicezk", latency=0.2, scenarios=("reset_before_submit:first=2",))
    engine = Engine(database, s3, simulator.url, account=QUICK_DOUBT)

    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.in_doubt) == (8, 0)
    assert simulator.counters()["billed"] == 8


def test_where_nobody_can_tell_hold_leaves_every_row_to_a_person(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(
        dialect="new-api", latency=0.2, poll_interval=0.1, scenarios=("ambiguous_submit_reset:first=5",)
    )
    engine = Engine(database, s3, simulator.url, account=QUICK_DOUBT)

    _, counts = engine.run(scope, replace(BatchOptions(), in_doubt="hold"))

    assert (counts.succeeded, counts.in_doubt) == (3, 5)
    assert max(image["billed"] for image in simulator.counters()["images"].values()) == 1


@pytest.mark.parametrize("trouble", ["task_list_forbidden", "no_task_list", "task_list_fails"])
def test_a_list_that_is_refused_or_fails_alone_leaves_its_rows_doubtful_and_the_run_to_its_end(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator], trouble: str
) -> None:
    simulator = simulate(dialect="novicezk", latency=0.2, scenarios=("ambiguous_submit_reset:first=5", trouble))
    engine = Engine(database, s3, simulator.url, account={**QUICK_DOUBT, "lost_after": 0.3})

    _, counts = engine.run(scope, replace(BatchOptions(), in_doubt="hold"))

    assert (counts.succeeded, counts.in_doubt) == (3, 5)
    assert simulator.counters()["billed"] == 8


def test_while_a_server_before_the_service_knows_no_path_nothing_is_concluded(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(dialect="novicezk", latency=0.2, scenarios=("ambiguous_submit_reset:first=5",))
    engine = Engine(database, s3, simulator.url, account=QUICK_DOUBT | {"max_in_flight": 5})
    work_on(engine, scope, options(max_submissions=5), until=lambda progress: progress.open.submitting > 0)
    simulator.set_scenarios(["no_path"])

    async def poll_for_a_while() -> None:
        async with engine.worker() as worker:
            for _ in range(20):
                await settle(worker)
                await asyncio.sleep(0.1)

    asyncio.run(poll_for_a_while())
    simulator.set_scenarios([])
    _, counts = engine.run(scope)

    assert (counts.succeeded, counts.in_doubt) == (8, 0)
    assert simulator.counters()["billed"] == 8


def test_where_nobody_can_tell_resubmit_pays_for_three_at_most_and_once_each(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(
        dialect="new-api", latency=0.2, poll_interval=0.1, scenarios=("ambiguous_submit_reset:first=5",)
    )
    engine = Engine(database, s3, simulator.url, account=QUICK_DOUBT)

    _, first = engine.run(scope)
    _, again = engine.run(scope)

    assert (first.succeeded, first.in_doubt) == (6, 2)
    assert (again.succeeded, again.in_doubt) == (6, 2)
    billed = sorted(image["billed"] for image in simulator.counters()["images"].values())
    assert billed == [1, 1, 1, 1, 1, 2, 2, 2]


def test_a_doubtful_row_of_an_earlier_run_is_resolved_by_whoever_comes_next(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(dialect="novicezk", latency=0.2, scenarios=("ambiguous_submit_reset:first=8",))
    engine = Engine(database, s3, simulator.url, account=QUICK_DOUBT)
    engine.run(scope, run_id="first")
    images = database.tables.images
    with database.writing() as tx:
        tx.connection.execute(
            images.update().values(status=Status.IN_DOUBT.value, doubt_checked_at=None, ended_at=tx.now)
        )

    _, counts = engine.run(scope, run_id="second")

    with database.reading() as tx:
        statuses = set(tx.connection.execute(select(images.c.status)).scalars())
    assert statuses == {Status.SUCCEEDED}
    assert simulator.counters()["billed"] == 8
    assert counts.in_doubt == 0
