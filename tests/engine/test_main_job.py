"""The main job on every dialect and both databases: images under a prefix become prompts in the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.testing.simulator.settings import DialectName
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator


@pytest.fixture(params=list(DialectName))
def simulator(request: pytest.FixtureRequest, simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect=request.param, latency=0.2, poll_interval=0.1)


@pytest.fixture
def engine(database: Database, s3: S3Client, simulator: RunningSimulator) -> Engine:
    return Engine(database, s3, simulator.url)


def put_photos(s3: S3Client, bucket: str, number: int) -> None:
    for index in range(number):
        s3.put_object(Bucket=bucket, Key=f"in/{index:03}.jpg", Body=jpeg(index))


def test_every_image_gets_its_prompts_and_a_rerun_pays_for_nothing(
    engine: Engine, s3: S3Client, bucket: str, simulator: RunningSimulator
) -> None:
    put_photos(s3, bucket, 10)
    scope = Scope(bucket, ("in/",))

    _, first = engine.run(scope, run_id="first")
    _, second = engine.run(scope, run_id="second")

    assert (first.succeeded, first.total, first.billed) == (10, 10, 10)
    assert second.total == 0
    assert simulator.counters()["billed"] == 10
    images = engine.database.tables.images.c
    with engine.database.reading() as tx:
        rows = tx.connection.execute(select(images.status, images.prompt_count, images.prompt_4)).all()
    assert {row.status for row in rows} == {Status.SUCCEEDED}
    assert all(row.prompt_count == 4 and row.prompt_4 for row in rows)


def test_an_overloaded_gateway_is_waited_for_and_bills_nothing_meanwhile(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    busy = simulate(dialect="new-api-2026", latency=0.2, poll_interval=0.1, scenarios=("overloaded:every=3",))
    put_photos(s3, bucket, 2)

    _, counts = Engine(database, s3, busy.url).run(Scope(bucket, ("in/",)), run_id="busy")

    assert (counts.succeeded, counts.billed) == (2, 2)
    counters = busy.counters()
    assert counters["billed"] == 2
    assert counters["refused"]["overloaded"] > 0
