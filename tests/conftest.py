"""Real parts for the tests: an S3 server, a Postgres server, the simulator, and the engine between them."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from hypothesis import HealthCheck, settings
from moto.server import ThreadedMotoServer
from sqlalchemy import create_engine, text

from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames
from airflow_midjourney.testing.simulator.serving import running_simulator
from tests.support.places import MetadataPlace
from tests.support.postgres import DRIVERS, IN_A_HURRY, running_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.postgres import RunningPostgres


# How long it takes to think up examples says something about the machine, and nothing about what is tested.
settings.register_profile("ours", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")


@pytest.fixture(scope="session", autouse=True)
def _no_proxies_and_no_real_accounts() -> None:
    for name in [name for name in os.environ if name.upper().endswith("_PROXY") or name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def pytest_addoption(parser: pytest.Parser) -> None:
    """Choose the driver of Postgres: psycopg is what Airflow's hook takes by itself, psycopg2 what it took before."""
    parser.addoption("--postgres-driver", choices=DRIVERS, default=DRIVERS[0])


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPostgres]:
    """A real Postgres server that runs for this session only."""
    with running_server(tmp_path_factory.mktemp("postgres"), IN_A_HURRY) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: RunningPostgres, pytestconfig: pytest.Config) -> str:
    """The SQLAlchemy URL of the session's Postgres server, with the driver that was chosen."""
    return postgres_server.url(pytestconfig.getoption("--postgres-driver"))


@pytest.fixture
def sqlite_place(tmp_path: Path) -> MetadataPlace:
    """An SQLite file without tables."""
    return MetadataPlace(f"sqlite:///{tmp_path}/image_prompts.sqlite", TableNames())


@pytest.fixture
def postgres_place(postgres_url: str) -> Iterator[MetadataPlace]:
    """A schema of its own in Postgres, without tables."""
    schema = f"test_{uuid.uuid4().hex[:12]}"
    admin = create_engine(postgres_url)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    yield MetadataPlace(postgres_url, TableNames(schema=schema))
    with admin.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> MetadataPlace:
    """Where an empty metadata database is: each test runs on SQLite and on Postgres."""
    chosen: MetadataPlace = request.getfixturevalue(f"{request.param}_place")
    return chosen


@pytest.fixture
def database(place: MetadataPlace) -> Iterator[Database]:
    """An open metadata database with its tables, on SQLite and on Postgres."""
    opened = open_database(place.url, place.names, name="image_prompts_db")
    ensure_tables(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The endpoint of an S3 server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def s3(s3_url: str) -> S3Client:
    return boto3.client("s3", endpoint_url=s3_url)


@pytest.fixture
def bucket(s3: S3Client) -> str:
    """The name of an empty bucket."""
    name = f"photos-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def simulate() -> Iterator[Callable[..., RunningSimulator]]:
    """Start simulators: ``simulate(dialect="trueai", latency=0.1)``; they stop with the test."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def start(**settings: Any) -> RunningSimulator:
            return stack.enter_context(running_simulator(**settings))

        yield start
