"""A process that does nothing holds no connection of Postgres, and gets one again when it needs it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url, text

from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.drivers import engines

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from airflow_midjourney.describe.table.database import Database

#: Seconds in which a busy machine surely comes to something.
PATIENCE = 120


def held(server: Engine, name: str) -> int:
    with server.connect() as connection:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        return int(connection.execute(query, {"name": name}).scalar_one())


def use(database: Database) -> None:
    with database.reading() as one, database.reading() as other:
        assert one.now <= other.now


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_connections_that_are_not_in_use_are_closed(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, driver: str
) -> None:
    monkeypatch.setattr(engines, "IDLE", 0.5)
    name = f"idle {driver}"
    server = create_engine(postgres_url)
    url = make_url(postgres_url).set(drivername=f"postgresql+{driver}").update_query_dict({"application_name": name})
    database = open_database(url.render_as_string(hide_password=False))
    for _ in range(2):
        with database.reading():
            use(database)
            assert held(server, name) >= 1
        deadline = time.monotonic() + PATIENCE
        while held(server, name) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert held(server, name) == 0
    database.close()
    server.dispose()
