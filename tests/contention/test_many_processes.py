"""Many processes over the same images: each image is claimed by one, and all of them end with its answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import batches
from tests.support.processes import Job, run_side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

PHOTOS = 500
SLOTS = 24
ACCOUNT = {"max_in_flight": SLOTS, "poll_interval": 0.2}


@pytest.fixture
def simulator(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect="novicezk", latency=0.05, slots=100, queue=100)


@pytest.fixture
def postgres_database(postgres_place: MetadataPlace) -> Iterator[Database]:
    opened = open_database(postgres_place.url, postgres_place.names)
    ensure_tables(opened)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(sqlite_place: MetadataPlace) -> Iterator[Database]:
    opened = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(opened)
    yield opened
    opened.close()


@pytest.fixture
def job(
    postgres_place: MetadataPlace, postgres_database: Database, bucket: str, s3_url: str, simulator: RunningSimulator
) -> Job:
    """A job over one prefix on Postgres; tests vary it."""
    return Job(postgres_place, s3_url, simulator.url, Scope(bucket, ("in/",)), batches.origin(), account=ACCOUNT)


def statuses(database: Database) -> dict[str, int]:
    images = database.tables.images.c
    with database.reading() as tx:
        rows = tx.connection.execute(select(images.status, func.count()).group_by(images.status)).all()
    return {row[0]: row[1] for row in rows}


def billed_once_each(simulator: RunningSimulator, number: int) -> None:
    counters = simulator.counters()
    assert len(counters["images"]) == number
    assert {image["billed"] for image in counters["images"].values()} == {1}


def test_eight_runs_over_one_prefix_on_postgres_pay_for_each_image_once(
    job: Job, postgres_database: Database, s3: S3Client, simulator: RunningSimulator
) -> None:
    batches.put_photos(s3, job.scope.bucket, range(PHOTOS))

    all_counts = run_side_by_side([replace(job, origin=batches.origin(f"run-{number}")) for number in range(8)])

    assert [counts.succeeded for counts in all_counts] == [PHOTOS] * 8
    assert sum(counts.billed for counts in all_counts) == PHOTOS
    assert statuses(postgres_database) == {Status.SUCCEEDED: PHOTOS}
    billed_once_each(simulator, PHOTOS)
    assert simulator.counters()["high_water"] <= SLOTS


def test_two_processes_on_sqlite_pay_for_each_image_once(
    job: Job, sqlite_place: MetadataPlace, sqlite_database: Database, s3: S3Client, simulator: RunningSimulator
) -> None:
    batches.put_photos(s3, job.scope.bucket, range(PHOTOS))
    on_sqlite = replace(job, place=sqlite_place)

    all_counts = run_side_by_side([replace(on_sqlite, origin=batches.origin(f"run-{number}")) for number in range(2)])

    assert [counts.succeeded for counts in all_counts] == [PHOTOS] * 2
    assert statuses(sqlite_database) == {Status.SUCCEEDED: PHOTOS}
    billed_once_each(simulator, PHOTOS)
    assert simulator.counters()["high_water"] <= SLOTS


def test_a_cap_of_100_over_eight_mapped_tasks_of_one_run_is_a_bill_of_100(
    job: Job, postgres_database: Database, s3: S3Client, simulator: RunningSimulator
) -> None:
    batches.put_photos(s3, job.scope.bucket, range(300))
    capped = replace(job, options=batches.options(max_submissions=100))

    all_counts = run_side_by_side(
        [replace(capped, origin=batches.origin(map_index=map_index)) for map_index in range(8)]
    )

    assert simulator.counters()["billed"] == 100
    assert sum(counts.billed for counts in all_counts) == 100
    assert statuses(postgres_database) == {Status.SUCCEEDED: 100, Status.PENDING: 200}


def test_the_same_batch_started_four_times_at_once_is_one_batch(
    job: Job, postgres_database: Database, s3: S3Client, simulator: RunningSimulator
) -> None:
    batches.put_photos(s3, job.scope.bucket, range(120))

    all_counts = run_side_by_side([job] * 4)

    assert [counts.succeeded for counts in all_counts] == [120] * 4
    assert all_counts[0].billed == 120
    billed_once_each(simulator, 120)
    with postgres_database.reading() as tx:
        listed = tx.connection.execute(select(tx.tables.batches.c.listed)).scalars().all()
    assert [found["images"] for found in listed] == [120]


def test_overlapping_prefixes_and_keys_at_once_all_end_with_every_answer(
    job: Job, postgres_database: Database, s3: S3Client, simulator: RunningSimulator
) -> None:
    batches.put_photos(s3, job.scope.bucket, range(150))
    keys = tuple(f"in/{number:04}.jpg" for number in range(40, 110))
    scopes = {
        Scope(job.scope.bucket, ("in/",)): 150,
        Scope(job.scope.bucket, ("in/00",)): 100,
        Scope(job.scope.bucket, ("in/005", "in/01")): 60,
        Scope(job.scope.bucket, ("",)): 150,
        Scope(job.scope.bucket, keys=keys): 70,
        Scope(job.scope.bucket, keys=keys[::-1]): 70,
    }

    all_counts = run_side_by_side(
        [replace(job, scope=scope, origin=batches.origin(f"run-{place}")) for place, scope in enumerate(scopes)]
    )

    assert [counts.succeeded for counts in all_counts] == list(scopes.values())
    billed_once_each(simulator, 150)


def test_one_cap_holds_over_two_accounts_of_one_run(
    job: Job, postgres_database: Database, s3: S3Client, simulate: Callable[..., RunningSimulator]
) -> None:
    batches.put_photos(s3, job.scope.bucket, range(120))
    services = [simulate(dialect="novicezk", latency=0.05, slots=100, queue=100) for _ in range(2)]
    capped = replace(job, options=batches.options(max_submissions=50))
    jobs = [
        replace(capped, url=services[number % 2].url, origin=batches.origin(map_index=number)) for number in range(6)
    ]

    run_side_by_side(jobs)

    assert sum(service.counters()["billed"] for service in services) == 50


def test_two_accounts_at_once_pay_once_for_the_same_bytes(
    job: Job, postgres_database: Database, s3: S3Client, simulate: Callable[..., RunningSimulator]
) -> None:
    services = [simulate(dialect="novicezk", latency=0.05, slots=100, queue=100) for _ in range(2)]
    for folder in ("a/", "b/", "c/", "d/"):
        batches.put_photos(s3, job.scope.bucket, range(50), folder)
    jobs = [
        replace(
            job, url=services[place % 2].url, scope=Scope(job.scope.bucket, (folder,)), origin=batches.origin(folder)
        )
        for place, folder in enumerate(("a/", "b/", "c/", "d/"))
    ]

    all_counts = run_side_by_side(jobs)

    assert [counts.succeeded for counts in all_counts] == [50] * 4
    assert sum(service.counters()["billed"] for service in services) == 50
    assert statuses(postgres_database) == {Status.SUCCEEDED: 200}
