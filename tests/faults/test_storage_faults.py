"""S3 that throttles, fails, loses objects or refuses the key that they are encrypted with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from sqlalchemy import func, select

from airflow_midjourney.describe.engine.refusals.denials import DENIED_IN_A_ROW
from airflow_midjourney.describe.engine.submit import IMAGES_SIDE_BY_SIDE
from airflow_midjourney.describe.model.errors import StorageDeniedError
from airflow_midjourney.describe.model.status import Reason, Status
from tests.support.batches import put_photos, work_on
from tests.support.s3_faults import S3Faults, break_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.engine import Engine


@pytest.fixture
def client(s3_url: str) -> S3Client:
    """A client that tests may break."""
    return boto3.client("s3", endpoint_url=s3_url)


def rows_by_status(database: Database) -> dict[str, int]:
    images = database.tables.images.c
    with database.reading() as tx:
        found = tx.connection.execute(select(images.status, func.count()).group_by(images.status)).all()
    return {row[0]: row[1] for row in found}


@pytest.mark.parametrize("code", ["SlowDown", "InternalError"])
def test_reads_that_are_throttled_or_fail_are_repeated(
    engine: Engine, scope: Scope, client: S3Client, service: RunningSimulator, code: str
) -> None:
    put_photos(client, scope.bucket, range(20))
    engine.s3 = client
    read = break_s3(client, S3Faults(passing={code: 0.3}))

    _, counts = work_on(engine, scope)

    assert len(read) > 20
    assert counts.succeeded == 20
    assert service.counters()["billed"] == 20


def test_objects_that_vanish_are_rows_that_say_so(
    engine: Engine, scope: Scope, client: S3Client, service: RunningSimulator
) -> None:
    put_photos(client, scope.bucket, range(20))
    engine.s3 = client
    break_s3(client, S3Faults(lasting={"NoSuchKey": 0.3}))

    _, counts = work_on(engine, scope)

    assert 0 < counts.rejected < 20
    assert counts.reasons == {Reason.MISSING.value: counts.rejected}
    assert counts.succeeded == service.counters()["billed"] == 20 - counts.rejected


def test_a_denied_encryption_key_stops_the_run_after_one_round_of_reads_and_fails_no_row(
    engine: Engine, scope: Scope, client: S3Client, service: RunningSimulator
) -> None:
    put_photos(client, scope.bucket, range(1000))
    engine.s3 = client
    read = break_s3(
        client,
        S3Faults(lasting={"AccessDenied": 1.0}),
        "User: arn:aws:iam::1:user/u is not authorized to perform: kms:Decrypt on the resource",
    )

    with pytest.raises(StorageDeniedError, match="grant kms:Decrypt"):
        work_on(engine, scope)

    # Ten in a row end it; the others were side by side with them, or were probes.
    assert DENIED_IN_A_ROW <= len(read) <= DENIED_IN_A_ROW + 2 * IMAGES_SIDE_BY_SIDE
    assert rows_by_status(engine.database) == {Status.PENDING: 1000}
    assert service.counters()["requests"].get("submit", 0) == 0
    images = engine.database.tables.images.c
    with engine.database.reading() as tx:
        held = tx.connection.execute(select(func.count()).where(images.reserved_by.is_not(None))).scalar_one()
    assert held == 0
