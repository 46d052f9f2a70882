"""A service that can be broken, and an engine that has to live with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.table import accounts, results, submissions
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace


@pytest.fixture
def database(sqlite_place: MetadataPlace) -> Iterator[Database]:
    """SQLite only: what the service or S3 does is the same to both databases."""
    opened = open_database(sqlite_place.url, sqlite_place.names, name="image_prompts_db")
    ensure_tables(opened)
    yield opened
    opened.close()


@pytest.fixture
def service(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    return simulate(dialect="novicezk", latency=0.05, slots=50, queue=50, pause=0.5)


@pytest.fixture
def engine(database: Database, s3: S3Client, service: RunningSimulator) -> Engine:
    """An engine that soon doubts."""
    return Engine(database, s3, service.url, account={"submit_deadline": 1.0, "doubt_grace": 0.2})


@pytest.fixture
def scope(bucket: str) -> Scope:
    return Scope(bucket, ("in/",))


@pytest.fixture
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing wait for long before it is tried again."""
    monkeypatch.setattr(results, "RETRY_PAUSE", 0.1)
    monkeypatch.setattr(submissions, "PAUSE_AFTER_NO", 0.3)
    monkeypatch.setattr(accounts, "FIRST_PAUSE", 0.2)
    monkeypatch.setattr(accounts, "LONGEST_PAUSE", 0.5)
    monkeypatch.setattr(accounts, "PROBE_INTERVAL", 0.2)
