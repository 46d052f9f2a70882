"""PgBouncer's three ways to pool, and what clients of one server connection leave to each other."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables, latest
from tests.support import rows
from tests.support.pgbouncer import needs_pgbouncer, running_pgbouncer
from tests.support.postgres import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import RunningPostgres

pytestmark = needs_pgbouncer

#: What a client may leave on a server connection that PgBouncer then gives to the next one.
LEFT_BEHIND = (
    "SET statement_timeout = '10min'",
    "SET lock_timeout = '9min'",
    "SET intervalstyle = 'sql_standard'",
    "SET extra_float_digits = -10",
    "SET synchronous_commit = off",
    "SET default_transaction_isolation = 'serializable'",
    "SET default_transaction_read_only = on",
    "PREPARE _pg3_0 AS SELECT 1",
    "PREPARE _pg3_1 AS SELECT 2",
)
SHOWN = (
    "statement_timeout",
    "lock_timeout",
    "datestyle",
    "intervalstyle",
    "timezone",
    "extra_float_digits",
    "synchronous_commit",
    "transaction_isolation",
    "transaction_read_only",
    "search_path",
)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def name(postgres_server: RunningPostgres, driver: str) -> Iterator[str]:
    """A database of this test."""
    made = f"pooled_{driver}"
    postgres_server.execute(f"CREATE DATABASE {made}")
    yield made
    postgres_server.execute(f"DROP DATABASE {made} WITH (FORCE)")


def through(server: RunningPostgres, driver: str, name: str, port: int) -> str:
    """Give the URL of a database behind a pooler."""
    url = make_url(server.url(driver, name)).set(host="127.0.0.1", port=port, query={})
    return url.render_as_string(hide_password=False)


def describe_one(url: str) -> dict[str, object]:
    """Make the tables, describe an image, and give its row."""
    database = open_database(url, name="image_prompts_db")
    ensure_tables(database)
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("in/猫.jpg")])
        rows.submit_next(tx, batch, task_id="17")
    with database.reading() as tx:
        (row,) = rows.image_rows(tx)
    database.close()
    return dict(row)


def another_client(port: int, name: str) -> psycopg.Connection:
    """Give a client of the pooler that prepares nothing by itself."""
    return psycopg.connect(
        host="127.0.0.1", port=port, user="postgres", dbname=name, autocommit=True, prepare_threshold=None
    )


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_pooling_by_transaction_and_by_session_work(
    postgres_server: RunningPostgres, driver: str, name: str, mode: str
) -> None:
    with running_pgbouncer(postgres_server, mode=mode) as port:
        row = describe_one(through(postgres_server, driver, name, port))

    assert (row["key"], row["status"], row["task_id"]) == ("in/猫.jpg", "submitted", "17")


def test_pooling_by_statement_is_refused_with_its_cure_before_tables_are_made(
    postgres_server: RunningPostgres, driver: str, name: str
) -> None:
    with running_pgbouncer(postgres_server, mode="statement") as port:
        database = open_database(through(postgres_server, driver, name, port), name="image_prompts_db")
        with pytest.raises(TableError, match=r"'image_prompts_db' .*pool_mode = transaction") as error:
            asyncio.run(database.write(rows.open_batch))
        database.close()

    # It is not waited for, as what passes is.
    assert not error.value.retry_helps
    assert "transaction blocks not allowed" in str(error.value)
    assert postgres_server.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'image_prompts%'", name) == []


def test_an_index_is_built_over_the_only_server_connection_of_a_pooler(
    postgres_server: RunningPostgres, driver: str, name: str
) -> None:
    with running_pgbouncer(postgres_server, size=1) as port:
        database = open_database(through(postgres_server, driver, name, port), name="image_prompts_db")
        ensure_tables(database)
        with database.writing() as tx:
            tx.connection.exec_driver_sql("DROP INDEX ix_image_prompts_open_keys")
            tx.connection.exec_driver_sql("UPDATE image_prompts_meta SET value = '18' WHERE name = 'revision'")

        ensure_tables(database)
        database.close()

    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_image_prompts_open_keys')"
    assert postgres_server.execute(valid, name) == [(True,)]
    assert postgres_server.execute("SELECT value FROM image_prompts_meta WHERE name = 'revision'", name) == [
        (str(latest()),)
    ]


def test_what_another_client_leaves_on_a_server_connection_does_not_matter(
    postgres_server: RunningPostgres, driver: str, name: str
) -> None:
    with running_pgbouncer(postgres_server, size=1) as port, another_client(port, name) as other:
        for statement in LEFT_BEHIND:
            other.execute(statement)
        assert other.execute("SHOW lock_timeout").fetchone() == ("9min",)

        row = describe_one(through(postgres_server, driver, name, port))

        left = other.execute("SHOW lock_timeout").fetchone()
    assert (row["key"], row["status"]) == ("in/猫.jpg", "submitted")
    assert left == ("9min",), "another server connection was taken, and nothing was tried"


def test_nothing_of_ours_is_left_on_a_server_connection(
    postgres_server: RunningPostgres, driver: str, name: str
) -> None:
    with running_pgbouncer(postgres_server, size=1) as port, another_client(port, name) as other:

        def look() -> list[object]:
            settings = [other.execute(f"SHOW {one}").fetchone() for one in SHOWN]
            prepared = other.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
            locks = other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
            process = other.execute("SELECT pg_backend_pid()").fetchone()
            return [*settings, prepared, locks, process]

        before = look()
        describe_one(through(postgres_server, driver, name, port))

        assert look() == before
        assert before[-3:-1] == [(0,), (0,)]
