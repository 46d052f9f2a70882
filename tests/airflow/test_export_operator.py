"""``ExportPromptsOperator`` as a DAG runs it, and what can be asked of it."""

from __future__ import annotations

import io
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pytest

from airflow_midjourney.describe.exports import export
from airflow_midjourney.describe.model.errors import SettingsError
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.operators.export import ExportPromptsOperator
from tests.support.airflow_runs import Troubles, make_dag, run_dag
from tests.support.described import described, failed, fill
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.airflow_runs import FinishedRun
    from tests.support.places import MetadataPlace


@pytest.fixture
def table(sqlite_place: MetadataPlace, connect: Callable[..., None], simulator: RunningSimulator) -> Iterator[Database]:
    """A table, and connections to it."""
    connect(simulator, sqlite_place)
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    yield database
    database.close()


def run(troubles: Troubles | None = None, **arguments: Any) -> FinishedRun:
    with make_dag(troubles) as dag:
        ExportPromptsOperator(task_id="export", **arguments)
    return run_dag(dag)


def latest(s3: S3Client, bucket: str, prefix: str) -> dict[str, Any]:
    return dict(json.loads(s3.get_object(Bucket=bucket, Key=f"{prefix}/latest.json")["Body"].read()))


def names(s3: S3Client, bucket: str, prefix: str) -> set[str]:
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return {entry["Key"].removeprefix(prefix) for entry in listed}


def test_an_export_to_s3_gives_its_place_and_its_counts(table: Database, s3: S3Client, bucket: str) -> None:
    fill(
        table,
        [described("in/a.jpg", bucket=bucket), described("in/b.gif", bucket=bucket), failed("in/c.jpg", bucket=bucket)],
    )

    done = run(bucket=bucket, prefix="in/", target=f"s3://{bucket}/out/", format="kohya")

    assert done.state == "success"
    location = done.xcom("export")
    pointer = latest(s3, bucket, "out")
    assert location == f"s3://{bucket}/out/{pointer['version']}"
    assert names(s3, bucket, f"out/{pointer['version']}/") == {"a.txt"}
    counts = done.xcom("export", "counts")
    assert counts == {"rows": 2, "exported": 1, "captions": 1, "splits": {}, "left_out": {"unsupported": 1}}
    assert (pointer["counts"], pointer["files"], pointer["format"]) == (counts, 1, "kohya")


def test_a_clear_makes_a_new_version_and_keeps_the_one_before(table: Database, s3: S3Client, bucket: str) -> None:
    fill(table, [described("in/a.jpg", bucket=bucket)])
    done = run(bucket=bucket, prefix="in/", target=f"s3://{bucket}/out", format="csv")
    first = latest(s3, bucket, "out")["version"]
    fill(table, [described("in/b.jpg", bucket=bucket)])

    versions = [first]
    for _ in range(2):
        assert done.clear_and_run("export") == "success"
        versions.append(latest(s3, bucket, "out")["version"])

    assert len(set(versions)) == 3
    assert latest(s3, bucket, "out")["versions"] == [versions[2], versions[1]]
    assert names(s3, bucket, f"out/{versions[0]}/") == set()
    assert names(s3, bucket, f"out/{versions[1]}/") == {"prompts.csv"}


@pytest.mark.parametrize("together", [64, 2])
def test_images_go_along_and_what_is_gone_is_counted(
    together: int, table: Database, s3: S3Client, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    twins = {"in/z-gone.jpg": "in/gone.jpg", "in/z-too.jpg": "in/gone.jpg", "in/z.jpg": "in/a.jpg"}
    for number, key in enumerate(["in/a.jpg", "in/gone.jpg", "in/new.jpg", "secret/x.jpg", *twins]):
        etag = s3.put_object(Bucket=bucket, Key=key, Body=jpeg(number, size=16))["ETag"].strip('"')
        rows.append(described(key, bucket=bucket, body=twins.get(key, key), etag=etag, image_version=etag))
    fill(table, rows)
    s3.delete_object(Bucket=bucket, Key="in/gone.jpg")
    s3.put_object(Bucket=bucket, Key="in/new.jpg", Body=jpeg(9, size=16))
    # A twin that stands in may come along with the first, or much later.
    monkeypatch.setattr(export, "_TOGETHER", together)
    service = json.loads(os.environ["AIRFLOW_CONN_MIDJOURNEY_DEFAULT"])
    service["extra"]["allowed_uris"] = [f"s3://{bucket}/in/*"]
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", json.dumps(service))

    done = run(
        bucket=bucket, prefix=["in/", "secret/"], target=str(tmp_path / "out"), format="imagefolder", copy_images=True
    )

    assert done.state == "success"
    folder = Path(done.xcom("export"))
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "train/in/a.jpg",
        "train/in/z-gone.jpg",
        "train/metadata.jsonl",
    ]
    assert done.xcom("export", "counts")["left_out"] == {"not_allowed": 1, "vanished": 2, "duplicate": 2}
    assert (tmp_path / "out/latest/train/metadata.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize("target", ["{folder}/prompts.parquet", "s3://{bucket}/prompts.parquet"])
def test_a_target_that_ends_like_a_file_is_one_file(
    target: str, table: Database, s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    fill(table, [described("in/a.jpg"), described("in/b.jpg")])
    place = target.format(folder=tmp_path, bucket=bucket)

    done = run(bucket="photos", prefix="in/", target=place, format="parquet")

    assert done.xcom("export") == place
    body = (
        s3.get_object(Bucket=bucket, Key="prompts.parquet")["Body"].read()
        if place.startswith("s3")
        else Path(place).read_bytes()
    )
    assert list(pandas.read_parquet(io.BytesIO(body))["object_key"]) == ["in/a.jpg", "in/b.jpg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"target": ""}, "target= is empty after templating"),
        ({"target": "out"}, "neither s3://bucket/prefix nor an absolute path"),
        ({"target": "gs://bucket/out"}, "must be s3://bucket/prefix"),
        ({"format": "xlsx"}, "format must be one of csv, imagefolder, "),
        ({"format_options": {"wildcard": True}}, "csv has no option wildcard; it takes none"),
        ({"prompt": "best"}, "prompt must be one of first, longest, random, all"),
        ({"choose": "best"}, "choose must be one of described, reviewed"),
        ({"reviewed_only": True}, "reviewed_only=True needs choose='reviewed'"),
        ({"prefix": ""}, "A prefix is empty after templating"),
        ({"status": "done"}, "status must be all, or one or more of pending"),
        ({"described_since": "yesterday"}, "described_since must be a date"),
        ({"splits": {"train": 0.5}}, "the shares add up to 0.5"),
        ({"keep_versions": 0}, "keep_versions must be at least 1"),
        ({"format": "imagefolder", "splits": "holdout"}, "know train, validation, test, not holdout"),
        ({"format": "kohya", "prompt": "all"}, "enable_wildcard"),
        ({"target": "/tmp/x.csv", "copy_images": True}, "names one file"),
        ({"aws_conn_id": "nowhere", "target": "s3://b/x"}, "There is no connection 'nowhere'"),
    ],
)
def test_what_makes_no_sense_is_one_clear_error(
    arguments: dict[str, Any], message: str, table: Database, tmp_path: Path
) -> None:
    fill(table, [described("in/a.jpg")])
    usual = {"bucket": "photos", "prefix": "in/", "target": str(tmp_path / "out"), "format": "csv"}
    operator = ExportPromptsOperator(task_id="export", **usual | arguments)

    with pytest.raises(SettingsError, match=re.escape(message)):
        operator._export("writer")

    assert not (tmp_path / "out").exists()


def test_two_images_that_would_share_a_caption_are_named(table: Database, tmp_path: Path) -> None:
    fill(table, [described("in/a.jpg"), described("in/a.png"), described("in/sub/a.jpg")])
    troubles = Troubles()

    done = run(troubles, bucket="photos", prefix="in/", target=str(tmp_path / "out"), format="kohya")

    assert done.state == "failed"
    assert "'s3://photos/in/a.jpg' and 's3://photos/in/a.png' would share the file 'a'" in str(troubles.failed[0])
    assert not (tmp_path / "out/latest.json").exists()


def test_only_what_is_asked_for_is_exported(table: Database, tmp_path: Path) -> None:
    fill(
        table,
        [
            described("in/new.jpg"),
            described("in/old.jpg", ended_at=datetime(2025, 1, 1, tzinfo=UTC)),
            described("in/replaced.jpg", is_current=False),
            described("in/niji.jpg", bot_type="NIJI_JOURNEY"),
            described("other/x.jpg"),
        ],
    )
    arguments = {"bucket": "photos", "target": str(tmp_path), "format": "csv"}

    def rows(**more: Any) -> int:
        operator = ExportPromptsOperator(task_id="export", **arguments | {"prefix": "in/"} | more)
        return int(operator._export("writer")[1]["exported"])

    assert rows() == 2
    assert rows(described_since="2026-01-01") == 1
    assert rows(described_until="2026-01-01T00:00:00Z") == 1
    assert rows(current_only=False) == 3
    assert rows(bot_type="NIJI_JOURNEY") == 1
    assert rows(prefix=None, whole_bucket=True) == 3
    assert rows(prefix=None, keys='["in/old.jpg", "other/x.jpg", "none"]') == 2


@pytest.mark.parametrize(
    "target", ["s3://{bucket}/elsewhere", "s3://{bucket}/allowed/../elsewhere", "/tmp/elsewhere.csv"]
)
def test_an_export_leaves_the_targets_that_are_allowed_for_no_dag(
    target: str,
    table: Database,
    sqlite_place: MetadataPlace,
    simulator: RunningSimulator,
    connect: Callable[..., None],
    s3: S3Client,
    bucket: str,
) -> None:
    fill(table, [described("in/a.jpg")])
    connect(simulator, sqlite_place, allowed_targets=f"s3://{bucket}/allowed/*")
    troubles = Troubles()
    arguments = {"bucket": "photos", "prefix": "in/", "format": "csv"}

    refused = run(troubles, target=target.format(bucket=bucket), **arguments)
    written = run(target=f"s3://{bucket}/allowed/a.csv", **arguments)

    assert refused.state == "failed"
    assert "outside allowed_targets of connection 'midjourney_default'" in str(troubles.failed[0])
    assert names(s3, bucket, "") == {"allowed/a.csv"}
    assert written.state == "success"
