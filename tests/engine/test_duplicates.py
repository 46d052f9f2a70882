"""The same bytes under many keys are paid for once, whatever comes of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table import results
from tests.support import rows
from tests.support.batches import options
from tests.support.engine import Engine
from tests.support.images import jpeg

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator

#: More than are claimed, and more than are settled, in one transaction. Eight processes at once: tests/contention.
KEYS = 60


@pytest.fixture
def service(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect="novicezk", latency=0.2, slots=20, queue=20)


@pytest.fixture
def scope(s3: S3Client, bucket: str) -> Scope:
    for number in range(KEYS):
        s3.put_object(Bucket=bucket, Key=f"in/{number:03}.jpg", Body=jpeg(7, size=16))
    return Scope(bucket, ("in/",))


def test_twins_share_a_failure_too(database: Database, s3: S3Client, scope: Scope, service: RunningSimulator) -> None:
    service.set_scenarios(["banned_image"])

    _, counts = Engine(database, s3, service.url).run(scope)

    assert (counts.failed, counts.billed) == (KEYS, 1)
    assert counts.reasons == {"banned": KEYS}


def test_twins_cost_max_attempts_between_them(
    database: Database,
    s3: S3Client,
    scope: Scope,
    service: RunningSimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(results, "RETRY_PAUSE", 0.05)
    service.set_scenarios(["internal_error"])

    _, counts = Engine(database, s3, service.url).run(scope, options(max_attempts=2))

    assert counts.failed == KEYS
    assert counts.billed == service.counters()["accepted"] == 2


def test_twins_of_an_image_described_long_ago_cost_nothing(
    database: Database, s3: S3Client, bucket: str, scope: Scope, service: RunningSimulator
) -> None:
    s3.put_object(Bucket=bucket, Key="old/first.jpg", Body=jpeg(7, size=16))
    engine = Engine(database, s3, service.url)
    engine.run(Scope(bucket, ("old/",)), run_id="old")

    _, counts = engine.run(scope, run_id="new")

    assert (counts.succeeded, counts.shared, counts.billed) == (KEYS, KEYS, 0)
    assert service.counters()["billed"] == 1


def test_a_task_that_was_given_up_is_asked_for_before_its_bytes_are_paid_for_under_another_key(
    database: Database, s3: S3Client, bucket: str, scope: Scope, service: RunningSimulator
) -> None:
    s3.put_object(Bucket=bucket, Key="old/first.jpg", Body=jpeg(7, size=16))
    engine = Engine(database, s3, service.url)
    engine.run(Scope(bucket, ("old/",)), run_id="old")
    with database.writing() as tx:
        (old,) = rows.image_rows(tx)
        rows.set_columns(tx, old["id"], status="failed", reason="timeout", prompt_count=None)
        tx.connection.execute(tx.tables.submissions.update().values(result="failed", reason="timeout"))
        # No other process asks for it: the next poll is far away.
        accounts = tx.tables.accounts
        tx.connection.execute(accounts.update().values(next_poll_at=tx.now + timedelta(hours=1)))

    _, counts = engine.run(scope, run_id="new")

    assert (counts.succeeded, counts.shared, counts.billed) == (KEYS, KEYS, 0)
    assert service.counters()["billed"] == 1


def test_nobody_pays_for_twins_of_a_doubtful_image_while_it_is_held(
    database: Database, s3: S3Client, scope: Scope, simulate: Callable[..., RunningSimulator]
) -> None:
    service = simulate(dialect="new-api", latency=0.2, poll_interval=0.1, scenarios=("ambiguous_submit_reset:first=1",))
    engine = Engine(database, s3, service.url, account={"submit_deadline": 0.5, "doubt_grace": 0.2})

    _, counts = engine.run(scope, options(in_doubt="hold"))

    assert (counts.in_doubt, counts.succeeded) == (KEYS, 0)
    assert service.counters()["billed"] == 1
    with database.reading() as tx:
        assert {row["status"] for row in rows.image_rows(tx)} == {Status.IN_DOUBT}
