"""Every fault for a tenth of the images at once, with several processes: nothing is lost, nothing is paid twice."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import batches
from tests.support.processes import Job, run_side_by_side
from tests.support.s3_faults import S3Faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

#: What the service does to a tenth of the images each, the first time; banned images stay banned.
ON_IMAGES = (
    "http_429_empty",
    "http_429_retry_after",
    "queue_full",
    "no_account",
    "http_500_spring",
    "bad_gateway",
    "reset_before_submit",
    "slow_submit",
    "ambiguous_submit_500",
    "ambiguous_submit_504",
    "ambiguous_submit_reset",
    "truncated_json",
    "task_timeout",
    "internal_error",
    "slow_work",
    "unknown_at_first",
)
#: What it does to each tenth request, or list.
ON_READS = (
    "http_500_on_reads:every=10",
    "http_429_on_reads:every=10",
    "reset_on_reads:every=10",
    "slow_reads:every=10",
)
ON_LISTS = (
    "malformed_list_item:every=10",
    "missing_list_id:every=10",
    "list_shuffled:every=10",
    "list_duplicates:every=10",
)
#: What it does to all requests, at first.
AT_FIRST = ("outage:first=4",)

S3_FAULTS = S3Faults(passing={"SlowDown": 0.1, "InternalError": 0.1}, lasting={"NoSuchKey": 0.1})

#: Images that novicezk is given: each fault meets a tenth of them. FAULTY_PHOTOS=1000 takes four minutes by itself.
FAULTY_PHOTOS: Final = int(os.environ.get("FAULTY_PHOTOS", "400"))

SERVICE = {"latency": 0.1, "slots": 200, "queue": 200, "pause": 0.5}
ACCOUNT = {"max_in_flight": 60, "submit_deadline": 2.0, "doubt_grace": 1.0, "poll_interval": 0.5}


@pytest.fixture
def postgres_database(postgres_place: MetadataPlace) -> Iterator[Database]:
    opened = open_database(postgres_place.url, postgres_place.names)
    ensure_tables(opened)
    yield opened
    opened.close()


def rows(database: Database) -> list[Any]:
    images = database.tables.images.c
    with database.reading() as tx:
        return list(tx.connection.execute(select(images.key, images.status, images.reason, images.prompt_count)))


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("dialect", "photos"), [("novicezk", FAULTY_PHOTOS), ("trueai", 60)])
def test_all_faults_at_once_lose_nothing_and_pay_for_nothing_twice(
    postgres_place: MetadataPlace,
    postgres_database: Database,
    bucket: str,
    s3: S3Client,
    s3_url: str,
    simulate: Callable[..., RunningSimulator],
    dialect: str,
    photos: int,
) -> None:
    """An image whose submission can be proved never sent is sent again, so that none stays in doubt.

    A proof needs an accepted submission that is older and still in the service's list: the account has described an
    image before, and all tasks of the test are fewer than the hundred that trueai lists.
    """
    batches.put_photos(s3, bucket, range(photos))
    batches.put_photos(s3, bucket, [photos], prefix="before/")
    service = simulate(dialect=dialect, **SERVICE)
    job = Job(
        postgres_place,
        s3_url,
        service.url,
        Scope(bucket, ("in/",)),
        batches.origin(),
        batches.options(max_attempts=4),
        account=ACCOUNT,
        s3_faults=S3_FAULTS,
        longest_pause=0.1,
    )
    run_side_by_side([replace(job, scope=Scope(bucket, ("before/",)), s3_faults=None)])
    faults = [f"{fault}:share=0.1:times=1" for fault in ON_IMAGES]
    service.set_scenarios([*faults, "banned_image:share=0.1", *ON_READS, *ON_LISTS, *AT_FIRST])

    all_counts = run_side_by_side([replace(job, origin=batches.origin(f"run-{number}")) for number in range(4)])

    everything = rows(postgres_database)
    ended = [row for row in everything if row.key.startswith("in/")]
    assert len(ended) == photos
    gone = {row.key for row in ended if S3_FAULTS.lasting_for(row.key)}
    assert {row.key for row in ended if row.reason == Reason.MISSING} == gone
    assert {(row.status, row.reason) for row in ended} == {
        (Status.SUCCEEDED, None),
        (Status.FAILED, Reason.BANNED),
        (Status.REJECTED, Reason.MISSING),
    }
    assert all(row.prompt_count == 4 for row in ended if row.status == Status.SUCCEEDED)
    assert all(counts.total == photos for counts in all_counts)
    counters = service.counters()
    failed_tasks = sum(number for status, number in counters["ended"].items() if status != "SUCCESS")
    succeeded = sum(row.status == Status.SUCCEEDED for row in everything)
    assert counters["ended"]["SUCCESS"] == succeeded
    assert counters["billed"] == succeeded + failed_tasks


@pytest.mark.parametrize("no", ["http_429_empty:first=10", "queue_full:first=10"])
def test_eight_processes_before_a_service_that_says_no_send_under_two_requests_a_second(
    postgres_place: MetadataPlace,
    postgres_database: Database,
    bucket: str,
    s3: S3Client,
    s3_url: str,
    simulate: Callable[..., RunningSimulator],
    no: str,
) -> None:
    """With the pauses that users have: nothing else is scaled down."""
    batches.put_photos(s3, bucket, range(12))
    service = simulate(dialect="novicezk", latency=0.1, slots=200, queue=200, scenarios=(no,))
    job = Job(
        postgres_place,
        s3_url,
        service.url,
        Scope(bucket, ("in/",)),
        batches.origin(),
        account={"max_in_flight": 4, "poll_interval": 3.0},
    )

    run_side_by_side([replace(job, origin=batches.origin(f"run-{number}")) for number in range(8)])

    counters = service.counters()
    closed = counters["while_closed"]
    assert counters["billed"] == 12
    assert closed["periods"] == 1
    # Eight processes prove that they may read, and four images were on their way at the first no.
    assert closed["requests"] - 8 - 4 < 2 * closed["seconds"]
    assert closed["submits"] - 4 < closed["seconds"]
