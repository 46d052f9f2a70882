"""PgBouncer with transaction pooling in between: no statement of another client is run, and kills lose nothing."""

from __future__ import annotations

import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.engine.context import holders_of
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames
from tests.support import batches, rows
from tests.support.pgbouncer import needs_pgbouncer, running_pgbouncer
from tests.support.places import MetadataPlace
from tests.support.postgres import DRIVERS
from tests.support.processes import Job, run_job, run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.postgres import RunningPostgres

pytestmark = needs_pgbouncer

CASE = json.loads((Path(__file__).parents[1] / "fixtures/cases/pool01_pgbouncer_transaction_pooling.json").read_text())
IMAGES, TASKS = CASE["images"], CASE["tasks"]
ACCOUNT = {"max_in_flight": 24, "poll_interval": 0.2}


@pytest.fixture
def pooled(postgres_server: RunningPostgres) -> Iterator[int]:
    """The port of a PgBouncer with two server connections."""
    with running_pgbouncer(postgres_server, mode=CASE["pool_mode"]) as port:
        yield port


@pytest.fixture(params=DRIVERS)
def place(request: pytest.FixtureRequest, pooled: int, postgres_server: RunningPostgres, bucket: str) -> MetadataPlace:
    """A database with tables, reached through the pooler by each of the drivers."""
    name = bucket.replace("-", "_")
    postgres_server.execute(f"CREATE DATABASE {name}")
    url = make_url(postgres_server.url(request.param, name)).set(host="127.0.0.1", port=pooled, query={})
    made = MetadataPlace(url.render_as_string(hide_password=False), TableNames())
    database = open_database(made.url)
    ensure_tables(database)
    database.close()
    return made


@pytest.fixture
def simulator(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect="trueai", latency=0.05, slots=100, queue=100)


@pytest.fixture
def job(place: MetadataPlace, bucket: str, s3: S3Client, s3_url: str, simulator: RunningSimulator) -> Job:
    batches.put_photos(s3, bucket, range(IMAGES))
    return Job(place, s3_url, simulator.url, Scope(bucket, ("in/",)), batches.origin(), account=dict(ACCOUNT))


def test_three_tasks_at_once_and_one_after_them_mix_nothing_up(job: Job, simulator: RunningSimulator) -> None:
    counts = run_side_by_side([replace(job, origin=batches.origin(f"run-{number}")) for number in range(TASKS)])
    counts += run_side_by_side([replace(job, origin=batches.origin("run-after"))])

    assert [one.succeeded for one in counts[:TASKS]] == [IMAGES] * TASKS
    assert counts[TASKS].billed == 0
    assert simulator.counters()["billed"] == IMAGES
    assert {image["billed"] for image in simulator.counters()["images"].values()} == {1}
    assert sum(one.billed for one in counts) == IMAGES


def test_three_tasks_in_a_row_that_are_killed_leave_nothing_behind_for_the_fourth(
    job: Job, simulator: RunningSimulator
) -> None:
    job.account.update(max_in_flight=4, submit_deadline=2.0, doubt_grace=2.0)
    for number in range(TASKS):
        _kill_amid_submissions(replace(job, origin=batches.origin(f"run-{number}")), simulator)

    run_side_by_side([replace(job, origin=batches.origin("run-after"))])

    assert _succeeded(job.place) == IMAGES
    assert {image["billed"] for image in simulator.counters()["images"].values()} == {1}


def _kill_amid_submissions(job: Job, simulator: RunningSimulator) -> None:
    before = simulator.counters()["accepted"]
    process = multiprocessing.get_context("forkserver").Process(target=run_job, args=(job,))
    process.start()
    deadline = time.monotonic() + 180
    while simulator.counters()["accepted"] < before + IMAGES // 6:
        assert process.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    database = open_database(job.place.url)
    with database.writing() as tx:
        # As the next try of a task does: what the dead had reserved need not wait for the end of its lease.
        leases.end_leases(tx, holders_of(""))
    database.close()


def _succeeded(place: MetadataPlace) -> int:
    database = open_database(place.url)
    with database.reading() as tx:
        statuses = [row["status"] for row in rows.image_rows(tx)]
    database.close()
    return statuses.count("succeeded")
