"""Every column is filled where its fact is known, whatever the service speaks and wherever the table is."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import BotType, Status
from airflow_midjourney.describe.service.prompts import PARSER_VERSION, parse_prompts
from airflow_midjourney.testing.simulator.settings import DialectName
from tests.support import rows
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

#: Facts that this image does not have: it has no twin, is not reserved, was never doubted, missed or asked for again.
WITHOUT_A_FACT = {
    "reason",
    "rejected_before",
    "detail",
    "callback_digest",
    "called_at",
    "shares_id",
    "reserved_by",
    "reserved_until",
    "not_before",
    "in_doubt_after",
    "absent_since",
    "doubt_checked_at",
    "resubmitted_at",
    "redescribed_by",
    "redescribed_at",
    "missing_since",
    "map_index",
    "logical_date",
}
PRICED = {"price": Decimal("0.05"), "currency": "USD"}


@pytest.fixture
def versioned(s3: S3Client, bucket: str) -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.mark.parametrize("dialect", list(DialectName))
def test_every_fact_about_an_image_is_in_its_row(
    database: Database, s3: S3Client, versioned: str, simulate: Callable[..., RunningSimulator], dialect: str
) -> None:
    simulator = simulate(dialect=dialect, latency=0.2, poll_interval=0.1)
    engine = Engine(database, s3, simulator.url, account=PRICED)
    body = jpeg(1, size=80)
    stored = s3.put_object(Bucket=versioned, Key="in/a photo.jpg", Body=body)

    batch, counts = engine.run(Scope(versioned, ("in/",)))

    with database.reading() as tx:
        (row,), (entry,) = rows.image_rows(tx), rows.bill(tx)
    assert {name for name, value in row.items() if value is None} == WITHOUT_A_FACT
    assert row["image_uri"] == f"s3://{versioned}/in/a photo.jpg"
    assert (row["bucket"], row["key"], row["version_id"]) == (versioned, "in/a photo.jpg", stored["VersionId"])
    assert row["image_version"] == row["etag"] == stored["ETag"].strip('"')
    assert (row["is_current"], row["size_bytes"], row["storage_class"]) == (True, len(body), "STANDARD")
    assert (row["media_type"], row["width"], row["height"]) == ("image/jpeg", 80, 80)
    assert row["content_sha256"] == hashlib.sha256(body).hexdigest()
    assert (row["bot_type"], row["status"], row["attempts"]) == (BotType.MID_JOURNEY, Status.SUCCEEDED, 1)
    assert (row["account"], row["submit_token"]) == (engine.settings.identity, entry["submit_token"])
    assert (row["task_id"], row["prompt_count"], row["parser_version"]) == (entry["task_id"], 4, PARSER_VERSION)
    parsed = parse_prompts(row["prompt_raw"])
    assert parsed is not None
    assert [row[f"prompt_{number}"] for number in range(1, 5)] == list(parsed.prompts)
    assert row["aspect_ratio"] == "1:1"
    assert (row["price"], row["currency"]) == (Decimal("0.05"), "USD")
    assert (row["dag_id"], row["run_id"], row["dag_task_id"]) == ("describe_images", "run", "submit")
    assert (row["try_number"], row["batch_id"]) == (1, batch.batch_id)
    assert row["created_at"] <= row["submitted_at"] <= row["ended_at"] <= row["updated_at"]
    assert row["started_at"] <= row["finished_at"]
    assert all(value.utcoffset().total_seconds() == 0 for name, value in row.items() if name.endswith("_at") and value)
    assert (counts.billed, counts.cost, counts.currency) == (1, Decimal("0.05"), "USD")


@pytest.mark.parametrize("dialect", list(DialectName))
def test_the_bill_has_every_fact_about_a_submission(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator], dialect: str
) -> None:
    simulator = simulate(dialect=dialect, latency=0.2, poll_interval=0.1)
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=jpeg(1))

    batch, _ = Engine(database, s3, simulator.url, account=PRICED).run(Scope(bucket, ("",)))

    with database.reading() as tx:
        (row,), (entry,) = rows.image_rows(tx), rows.bill(tx)
    (task,) = simulator.tasks()
    empty = {name for name, value in entry.items() if value is None}
    assert empty <= {"detail", "reason", "map_index", "unheard_since"}
    assert (entry["image_id"], entry["batch_id"], entry["cap_scope"]) == (
        row["id"],
        batch.batch_id,
        batch.origin.cap_scope,
    )
    assert (entry["outcome"], entry["http_status"], entry["code"]) == ("accepted", 200, "1")
    assert entry["result"] == "succeeded"
    assert entry["submit_token"] == task["state"]
    assert (entry["price"], entry["currency"]) == (Decimal("0.05"), "USD")
    assert entry["claimed_at"] <= entry["answered_at"] <= entry["settled_at"]


def test_an_overwritten_object_is_described_again_and_the_old_answer_kept(
    database: Database, s3: S3Client, versioned: str, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(latency=0.1)
    engine, scope = Engine(database, s3, simulator.url), Scope(versioned, ("in/",))
    for number in (1, 2):
        s3.put_object(Bucket=versioned, Key="in/a.jpg", Body=jpeg(number))
        batch, counts = engine.run(scope, run_id=f"run-{number}")
        assert (counts.succeeded, counts.total) == (1, 1)

    with database.reading() as tx:
        old, new = rows.image_rows(tx)
    assert (old["is_current"], new["is_current"]) == (False, True)
    assert old["version_id"] != new["version_id"]
    assert old["prompt_1"] != new["prompt_1"]
    assert batch.listed.changed == 1
    assert simulator.counters()["billed"] == 2


def test_an_object_put_back_as_it_was_costs_nothing(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(latency=0.1)
    engine, scope = Engine(database, s3, simulator.url), Scope(bucket, ("in/",))
    for run, number in enumerate((1, 2, 1)):
        s3.put_object(Bucket=bucket, Key="in/a.jpg", Body=jpeg(number))
        batch, _ = engine.run(scope, run_id=f"run-{run}")

    assert batch.listed.done == 1
    assert simulator.counters()["billed"] == 2
    with database.reading() as tx:
        assert [(row["is_current"], row["status"]) for row in rows.image_rows(tx)] == [
            (True, "succeeded"),
            (False, "succeeded"),
        ]


def test_the_second_bot_is_asked_too_and_pays_for_itself(
    database: Database, s3: S3Client, bucket: str, simulate: Callable[..., RunningSimulator]
) -> None:
    simulator = simulate(dialect="trueai", latency=0.1)
    engine = Engine(database, s3, simulator.url)
    s3.put_object(Bucket=bucket, Key="a.jpg", Body=jpeg(1))
    engine.run(Scope(bucket, ("",)), run_id="mid")

    _, counts = engine.run(Scope(bucket, ("",), bot_type=BotType.NIJI_JOURNEY), run_id="niji")

    assert (counts.succeeded, counts.shared, counts.billed) == (1, 0, 1)
    assert simulator.counters()["billed"] == 2
