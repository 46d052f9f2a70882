"""A service that bills, and an engine that pays it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import Scope
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator


@pytest.fixture
def service(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect="novicezk", latency=0.05, slots=50, queue=50)


@pytest.fixture
def engine(database: Database, s3: S3Client, service: RunningSimulator) -> Engine:
    """An engine that pays ten cents an image."""
    return Engine(database, s3, service.url, account={"price": Decimal("0.1"), "currency": "USD"})


@pytest.fixture
def scope(bucket: str) -> Scope:
    return Scope(bucket, ("in/",))
