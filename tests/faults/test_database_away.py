"""The database goes away for a while: who works waits for it, and nothing is paid twice."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support.batches import origin, put_photos, work_on
from tests.support.engine import Engine
from tests.support.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.table.database import Database
    from airflow_midjourney.testing.simulator.serving import RunningSimulator
    from tests.support.places import MetadataPlace

PHOTOS = 60


@pytest.fixture
def scope(s3: S3Client, bucket: str) -> Scope:
    put_photos(s3, bucket, range(PHOTOS))
    return Scope(bucket, ("in/",))


@pytest.fixture
def postgres_database(postgres_place: MetadataPlace) -> Iterator[Database]:
    url = make_url(postgres_place.url).update_query_dict({"application_name": "victim"})
    opened = open_database(url.render_as_string(hide_password=False), postgres_place.names)
    ensure_tables(opened)
    yield opened
    opened.close()


def test_connections_that_are_killed_again_and_again_cost_nothing(
    postgres_url: str, postgres_database: Database, s3: S3Client, scope: Scope, service: RunningSimulator
) -> None:
    engine = Engine(postgres_database, s3, service.url)
    administrator = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    done = threading.Event()
    committed = threading.Event()
    event.listen(postgres_database.engine, "commit", lambda _connection: committed.set())
    killed: list[int] = []

    def kill_now_and_then() -> None:
        kill = text("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'victim'")
        while not done.wait(0.15):
            # On a busy machine a transaction may take longer than that: it is killed once, and not for ever.
            if not committed.wait(0.15):
                continue
            with administrator.connect() as connection:
                killed.append(connection.execute(kill).scalar_one())
            committed.clear()

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        _, counts = work_on(engine, scope)
    finally:
        done.set()
        killer.join()
        administrator.dispose()

    assert sum(killed) > 0
    assert counts.succeeded == PHOTOS
    assert service.counters()["billed"] == PHOTOS
    assert {image["billed"] for image in service.counters()["images"].values()} == {1}


def test_a_server_that_stops_and_starts_again_is_waited_for(
    tmp_path: Path, s3: S3Client, scope: Scope, service: RunningSimulator
) -> None:
    with running_postgres(tmp_path / "postgres") as url:
        database = open_database(url)
        ensure_tables(database)
        engine = Engine(database, s3, service.url)
        work_on(engine, Scope(scope.bucket, ("in/000",)))
    restarted: list[str] = []

    def start_again() -> None:
        attempts.wait()
        with running_postgres(tmp_path / "postgres") as again:
            restarted.append(again)
            ended.wait()

    ended = threading.Event()
    attempts = failed_connections(database)
    starter = threading.Thread(target=start_again)
    starter.start()
    try:
        _, counts = work_on(engine, scope, whose=origin("second"))
    finally:
        attempts.set()
        ended.set()
        starter.join()
        database.close()

    assert restarted == [url]
    assert counts.succeeded == PHOTOS - 10
    assert service.counters()["billed"] == PHOTOS


def failed_connections(database: Database) -> threading.Event:
    """Give an event that is set once a client has tried to connect a few times, in vain."""
    tried = threading.Event()
    seen: list[Callable[..., object]] = []

    @event.listens_for(database.engine, "do_connect")
    def on_connect(*given: object) -> None:
        seen.append(on_connect)
        if len(seen) >= 4:
            tried.set()

    return tried
