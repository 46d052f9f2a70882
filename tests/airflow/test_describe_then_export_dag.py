"""``describe_then_export`` as a user runs it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

from tests.support.airflow_runs import run_dag
from tests.support.asset_events import events_of
from tests.support.example_dags import load_example

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


def test_a_run_ends_with_a_training_set(
    postgres_place: MetadataPlace,
    s3: S3Client,
    bucket: str,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    put_photos: Callable[..., None],
) -> None:
    connect(simulator, postgres_place)
    put_photos("in/", 3)
    s3.copy_object(Bucket=bucket, Key="in/twin.jpg", CopySource={"Bucket": bucket, "Key": "in/000.jpg"})
    conf = {"bucket": bucket, "prefix": "in/", "target": "s3://elsewhere/out", "format": "imagefolder"}
    dag = load_example("describe_then_export")
    assert "target" not in dag.params
    # What its users do first: to name a place of their own in its code.
    dag.get_task("export").target = f"s3://{bucket}/out"  # type: ignore[attr-defined]

    run = run_dag(dag, conf)

    assert run.state == "success"
    folder = run.xcom("export").removeprefix(f"s3://{bucket}/")
    metadata = io.BytesIO()
    s3.download_fileobj(bucket, f"{folder}/train/metadata.jsonl", metadata)
    lines = [json.loads(line) for line in metadata.getvalue().splitlines()]
    assert [line["file_name"] for line in lines] == ["000.jpg", "001.jpg", "002.jpg"]
    assert all(line["text"] for line in lines)
    for line in lines:
        copied = s3.get_object(Bucket=bucket, Key=f"{folder}/train/{line['file_name']}")["Body"].read()
        assert copied == s3.get_object(Bucket=bucket, Key=f"in/{line['file_name']}")["Body"].read()
    (extra,) = events_of("image_prompts_export", run)
    assert (extra["target"], extra["exported"], extra["left_out"]) == (run.xcom("export"), 3, {"duplicate": 1})
    assert simulator.counters()["billed"] == 3
