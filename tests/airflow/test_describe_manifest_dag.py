"""``describe_manifest`` as a user runs it."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.operators.describe import DescribeImagesOperator
from airflow_midjourney.sensors.describe import DescribeImagesSensor
from tests.support.airflow_runs import Troubles, make_dag, run_dag, submit_and_wait
from tests.support.asset_events import events_of
from tests.support.example_dags import load_example

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def body(bucket: str, name: str) -> bytes:
    keys = ["in/000.jpg", "in/001.jpg", "in/none.jpg"]
    if name == "list.txt":
        return "\n".join(keys).encode()
    if name == "list.csv":
        return "".join(f"{bucket},{key}\n" for key in keys).encode()
    return gzip.compress(b"bucket,key\n" + "".join(f"{bucket},{key}\n" for key in keys).encode())


@pytest.mark.parametrize("name", ["list.txt", "list.csv", "list.csv.gz"])
def test_a_list_anywhere_gives_every_image_that_it_names_its_prompts(
    name: str,
    postgres_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, postgres_place)
    put_photos("in/", 4)
    s3.put_object(Bucket=bucket, Key=f"lists/{name}", Body=body(bucket, name))

    run = run_dag(load_example("describe_manifest"), {"manifest": f"s3://{bucket}/lists/{name}"})

    assert (run.state, run.state_of("wait")) == ("success", "success")
    assert run.rendered("submit")["manifest"] == f"s3://{bucket}/lists/{name}"
    listed = run.xcom("submit", "counts")["listed"]
    assert (listed["keys"], listed["new"], listed["rejected"]) == (3, 2, 1)
    (counts,) = run.xcom("wait", "counts")
    assert (counts["succeeded"], counts["reasons"]) == (2, {"missing": 1})
    assert simulator.counters()["billed"] == 2
    (extra,) = events_of("image_prompts", run)
    assert extra["batches"] == [run.xcom("submit")]
    assert (extra["succeeded"], extra["rejected"], extra["failed"], extra["billed"]) == (2, 1, 0, 2)


def test_a_list_in_another_bucket_and_a_cap(
    sqlite_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 3)
    s3.create_bucket(Bucket=f"lists-of-{bucket}")
    s3.put_object(Bucket=f"lists-of-{bucket}", Key="a", Body=b"in/000.jpg\nin/001.jpg\nin/002.jpg\n")
    conf = {"manifest": f"s3://lists-of-{bucket}/a", "bucket": bucket, "max_submissions": 2}

    run = run_dag(load_example("describe_manifest"), conf)

    assert (run.state_of("submit"), run.state_of("wait")) == ("success", "skipped")
    assert simulator.counters()["billed"] == 2
    assert events_of("image_prompts", run) == []


@pytest.mark.parametrize("wrong", [{}, {"manifest": "list.txt"}, {"manifest": "s3://photos"}])
def test_a_run_without_a_manifest_does_not_start(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="manifest"):
        run_dag(load_example("describe_manifest"), wrong)


def test_a_sensor_alone_takes_a_manifest_too(
    sqlite_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    put_photos("in/", 1)
    s3.put_object(Bucket=bucket, Key="list", Body=b"in/000.jpg\n")
    with make_dag() as dag:
        DescribeImagesSensor(task_id="wait", manifest=f"s3://{bucket}/list", poke_interval=0.2)

    run = run_dag(dag)

    assert run.xcom("wait", "counts")[0]["succeeded"] == 1


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{{ '' }}", "manifest= is empty after templating"),
        ("{{ none }}", "manifest= is empty after templating"),
        ("photos/list.txt", "s3://bucket/key"),
        ("s3://{bucket}/none.txt", "There is no manifest"),
        ("s3://{bucket}/list.json", "nor the manifest.json"),
        ("s3://{bucket}/orc.json", "output format of the inventory to CSV"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_one_clear_error_without_a_retry(
    manifest: str,
    message: str,
    sqlite_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
) -> None:
    connect(simulator, sqlite_place)
    s3.put_object(Bucket=bucket, Key="list.json", Body=b"in/000.jpg\n")
    orc = {"fileFormat": "ORC", "fileSchema": "struct<bucket:string,key:string>", "files": []}
    s3.put_object(Bucket=bucket, Key="orc.json", Body=json.dumps(orc).encode())
    troubles = Troubles()
    dag = submit_and_wait({"manifest": manifest.replace("{bucket}", bucket)}, troubles=troubles, retries=2)

    run = run_dag(dag)

    assert run.state_of("submit") == "failed"
    assert message in str(troubles.failed[0])
    assert troubles.retried == []


@pytest.mark.parametrize("arguments", [{}, {"prefix": "in/"}])
def test_without_a_bucket_and_a_manifest_there_is_no_task(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="bucket=, or manifest="):
        DescribeImagesOperator(task_id="submit", **arguments)
