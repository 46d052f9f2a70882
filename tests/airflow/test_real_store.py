"""``describe_images`` over real S3 servers that are neither AWS nor moto: odd keys, versions, overwrites, deletions."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import boto3
import pytest
from sqlalchemy import create_engine, text

from tests.support.airflow_runs import FinishedRun, example_dag, run_dag
from tests.support.images import jpeg
from tests.support.s3_programs import LOGIN, MINIO, PASSWORD, VERSITY, S3Program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

ODD_KEYS = [
    "in/a b+c&d=e?f#g.jpg",
    "in/100%.jpg",
    "in/%41%20.jpg",
    "in/é日本\N{CAT FACE}.jpg",
    "in/e\N{COMBINING ACUTE ACCENT}.jpg",
    "in/q'\"<>[]{}|\\^`~.jpg",
    "in/ blank .jpg",
    "in/UP.jpg",
    "in/up.jpg",
    "in/new\nline.jpg",
    "in/deep/er/photo.jpg",
    "in/-/a.jpg",
    "in/-.jpg",
]


@pytest.fixture(scope="module", params=[VERSITY, MINIO], ids=lambda program: program.name)
def program(request: pytest.FixtureRequest) -> S3Program:
    chosen: S3Program = request.param
    return chosen


@pytest.fixture(scope="module")
def s3_url(program: S3Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with program.running(tmp_path_factory.mktemp(program.name)) as url:
        yield url


@pytest.fixture(scope="module")
def s3(s3_url: str) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=s3_url,
        aws_access_key_id=LOGIN,
        aws_secret_access_key=PASSWORD,
        region_name="us-east-1",
    )


@pytest.fixture
def versioned(s3: S3Client) -> str:
    name = f"photos-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def describe(
    sqlite_place: MetadataPlace, simulator: RunningSimulator, connect: Callable[..., None]
) -> Callable[[str], FinishedRun]:
    """Run the example DAG over ``in/`` of a bucket."""
    connect(simulator, sqlite_place)
    return lambda bucket: run_dag(example_dag(), {"bucket": bucket, "prefix": "in/"})


def facts(place: MetadataPlace) -> list[tuple[str, str, bool, str | None]]:
    engine = create_engine(place.url)
    with engine.connect() as connection:
        query = text("SELECT key, status, is_current, version_id FROM image_prompts ORDER BY id")
        found = [(row.key, row.status, bool(row.is_current), row.version_id) for row in connection.execute(query)]
    engine.dispose()
    return found


def test_keys_with_any_letter_get_their_prompts_once(
    s3: S3Client,
    bucket: str,
    describe: Callable[[str], FinishedRun],
    sqlite_place: MetadataPlace,
    simulator: RunningSimulator,
) -> None:
    for number, key in enumerate(ODD_KEYS):
        s3.put_object(Bucket=bucket, Key=key, Body=jpeg(number))

    states = [describe(bucket).state for _ in range(2)]

    assert states == ["success", "success"]
    assert sorted(row[0] for row in facts(sqlite_place)) == sorted(ODD_KEYS)
    assert {row[1] for row in facts(sqlite_place)} == {"succeeded"}
    assert simulator.counters()["billed"] == len(ODD_KEYS)


def test_a_version_that_is_written_over_is_described_anew_and_the_old_one_stays(
    s3: S3Client,
    versioned: str,
    describe: Callable[[str], FinishedRun],
    sqlite_place: MetadataPlace,
    simulator: RunningSimulator,
) -> None:
    versions = []
    for number in range(2):
        versions.append(s3.put_object(Bucket=versioned, Key="in/a.jpg", Body=jpeg(number))["VersionId"])
        assert describe(versioned).state == "success"
    s3.delete_object(Bucket=versioned, Key="in/a.jpg")
    s3.put_object(Bucket=versioned, Key="in/b.jpg", Body=jpeg(0))
    assert describe(versioned).state == "success"

    found = facts(sqlite_place)
    assert [row[:3] for row in found] == [
        ("in/a.jpg", "succeeded", False),
        ("in/a.jpg", "succeeded", True),
        ("in/b.jpg", "succeeded", True),
    ]
    assert [row[3] for row in found[:2]] == versions
    assert simulator.counters()["billed"] <= 3


def test_a_bucket_that_does_not_exist_is_named(
    describe: Callable[[str], FinishedRun], sqlite_place: MetadataPlace
) -> None:
    run = describe("no-such-bucket-here")

    assert (run.state, run.state_of("submit")) == ("failed", "failed")
    assert facts(sqlite_place) == []
