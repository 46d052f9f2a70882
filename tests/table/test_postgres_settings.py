"""Whatever a role, a database or the environment sets, a row says the same; what cannot store a prompt is refused."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.service.prompts import parse_prompts
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.results import RemoteTimes
from tests.support import rows
from tests.support.postgres import DRIVERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_midjourney.describe.table.database import Database
    from tests.support.postgres import RunningPostgres

CASES = Path(__file__).parents[1] / "fixtures" / "cases"
LATIN1 = json.loads((CASES / "enc01_latin1_database.json").read_text())
SQL_DMY = json.loads((CASES / "enc03_datestyle_of_the_role.json").read_text())

CHINESE = "1️⃣ 一只猫 --ar 3:2\n\n2️⃣ Ein Hündchen 🐶 --ar 3:2\n\n3️⃣ три --ar 3:2\n\n4️⃣ c:\\new\\'quoted' --ar 3:2"
BEFORE = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)

STYLES = {
    "case": SQL_DMY["alter"],
    "german": [
        "ALTER DATABASE {name} SET datestyle TO 'German'",
        "ALTER DATABASE {name} SET timezone TO 'Asia/Kolkata'",
    ],
    "postgres": [
        "ALTER DATABASE {name} SET datestyle TO 'Postgres, MDY'",
        "ALTER DATABASE {name} SET timezone TO 'America/St_Johns'",
        "ALTER DATABASE {name} SET intervalstyle TO 'sql_standard'",
    ],
    "text": [
        "ALTER DATABASE {name} SET client_encoding TO 'LATIN1'",
        "ALTER DATABASE {name} SET standard_conforming_strings TO off",
        "ALTER DATABASE {name} SET extra_float_digits TO '-10'",
        "ALTER DATABASE {name} SET bytea_output TO 'escape'",
    ],
    "transactions": [
        "ALTER DATABASE {name} SET default_transaction_isolation TO 'serializable'",
        "ALTER DATABASE {name} SET default_transaction_read_only TO on",
        "ALTER DATABASE {name} SET default_transaction_deferrable TO on",
        "ALTER DATABASE {name} SET synchronous_commit TO off",
        "ALTER DATABASE {name} SET lock_timeout TO '1ms'",
        "ALTER DATABASE {name} SET statement_timeout TO '20ms'",
    ],
}


@contextmanager
def made(server: RunningPostgres, name: str, create: str, alter: Sequence[str] = ()) -> Iterator[str]:
    """Make a database, and drop it."""
    server.execute(f"CREATE DATABASE {name} {create}")
    try:
        for statement in alter:
            server.execute(statement.format(name=name))
        yield name
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def a_role(server: RunningPostgres, name: str) -> Iterator[None]:
    """Make a role that may do everything, and drop it."""
    server.execute(f"CREATE ROLE {name} SUPERUSER LOGIN")
    try:
        yield
    finally:
        server.execute(f"DROP ROLE {name}")


@pytest.fixture(params=STYLES)
def styled(request: pytest.FixtureRequest, postgres_server: RunningPostgres) -> Iterator[str]:
    """The name of a database whose settings are not Postgres's own."""
    with made(postgres_server, f"styled_{request.param}", SQL_DMY["create"], STYLES[request.param]) as name:
        yield name


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def database(styled: str, driver: str, postgres_server: RunningPostgres) -> Iterator[Database]:
    opened = open_database(postgres_server.url(driver, styled))
    ensure_tables(opened)
    yield opened
    opened.close()


def test_settings_of_a_database_do_not_matter(database: Database) -> None:
    prompts = parse_prompts(CHINESE)
    assert prompts is not None
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("in/猫.jpg", last_modified=BEFORE)])
        sent = rows.submit_next(tx, batch, task_id="17")
        assert rows.described(tx, sent, prompts, CHINESE, RemoteTimes(BEFORE, BEFORE + timedelta(microseconds=1)))
        began = tx.now
        tx.connection.execute(text("SELECT pg_sleep(0.05)"))

    with database.reading() as tx:
        (row,) = rows.image_rows(tx)
        assert timedelta(0) < tx.now - began < timedelta(minutes=5)
    assert (row["key"], row["status"], row["prompt_raw"]) == ("in/猫.jpg", "succeeded", CHINESE)
    assert (row["prompt_1"], row["prompt_2"]) == ("一只猫", "Ein Hündchen 🐶")
    assert row["prompt_4"] == "c:\\new\\'quoted'"
    assert (row["last_modified"], row["started_at"]) == (BEFORE, BEFORE)
    assert row["finished_at"] == BEFORE + timedelta(microseconds=1)
    assert abs(row["ended_at"] - datetime.now(UTC)) < timedelta(minutes=5)


def test_what_is_written_survives_a_crash_whatever_the_database_says(
    postgres_server: RunningPostgres, driver: str
) -> None:
    said = {}
    for setting in ("off", "local", "on", "remote_apply"):
        alter = [f"ALTER DATABASE {{name}} SET synchronous_commit TO {setting}"]
        with made(postgres_server, "durable", "", alter) as name:
            opened = open_database(postgres_server.url(driver, name))
            with opened.writing() as tx:
                said[setting] = tx.connection.execute(text("SHOW synchronous_commit")).scalar_one()
            opened.close()

    assert said == {"off": "on", "local": "on", "on": "on", "remote_apply": "remote_apply"}


def test_no_setting_outlives_its_transaction(postgres_server: RunningPostgres, driver: str) -> None:
    alter = [f"ALTER DATABASE {{name}} SET {one}" for one in ("timezone TO 'Asia/Tokyo'", "statement_timeout TO '7s'")]
    with made(postgres_server, "untouched", "", alter) as name:
        opened = open_database(postgres_server.url(driver, name))
        with opened.writing():
            pass
        with opened.looking() as tx:
            assert tx.connection.execute(text("SHOW statement_timeout")).scalar_one() == "20s"
        with opened.engine.connect() as connection:
            shown = [connection.execute(text(f"SHOW {one}")).scalar_one() for one in ("timezone", "statement_timeout")]
        opened.close()

    assert shown == ["Asia/Tokyo", "7s"]


@pytest.mark.parametrize(
    ("encoding", "create"),
    [
        ("LATIN1", LATIN1["create"]),
        ("SQL_ASCII", "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"),
        ("WIN1252", "ENCODING 'WIN1252' LOCALE 'C' TEMPLATE template0"),
        ("EUC_JP", "ENCODING 'EUC_JP' LOCALE 'C' TEMPLATE template0"),
        ("KOI8R", "ENCODING 'KOI8R' LOCALE 'C' TEMPLATE template0"),
    ],
)
def test_an_encoding_that_cannot_hold_every_prompt_is_refused_before_tables_are_made(
    postgres_server: RunningPostgres, driver: str, encoding: str, create: str
) -> None:
    with made(postgres_server, "old_encoding", create) as name:
        opened = open_database(postgres_server.url(driver, name), name="image_prompts_db")
        with pytest.raises(
            TableError, match=rf"'image_prompts_db' has the encoding {encoding}.*ENCODING 'UTF8'"
        ) as error:
            ensure_tables(opened)
        found = postgres_server.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'image_prompts%'", name)
        opened.close()

    assert not error.value.retry_helps
    assert found == []


def test_the_encoding_of_the_environment_does_not_matter(
    postgres_server: RunningPostgres, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGDATESTYLE", "German")
    monkeypatch.setenv("PGTZ", "Asia/Tokyo")
    with made(postgres_server, "environment", "") as name:
        opened = open_database(postgres_server.url(driver, name))
        ensure_tables(opened)
        with opened.writing() as tx:
            rows.open_batch(tx)
            rows.list_images(tx, [rows.listed("in/猫🐈.jpg", last_modified=BEFORE)])
            (row,) = rows.image_rows(tx)
        opened.close()

    assert (row["key"], row["last_modified"]) == ("in/猫🐈.jpg", BEFORE)


@pytest.mark.parametrize("by", ["role", "role in the database", "options", "PGOPTIONS"])
def test_a_client_encoding_that_another_has_chosen_does_not_matter(
    postgres_server: RunningPostgres, driver: str, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    role = f"in_latin1_{driver}"
    styles = {"client_encoding": "LATIN1", "datestyle": "German", "timezone": "Asia/Tokyo"}
    options = " ".join(f"-c {name}={value}" for name, value in styles.items())
    where = {"role": "", "role in the database": "IN DATABASE latin1_by"}.get(by)
    with a_role(postgres_server, role), made(postgres_server, "latin1_by", "") as name:
        if where is not None:
            for setting, value in styles.items():
                postgres_server.execute(f"ALTER ROLE {role} {where} SET {setting} TO '{value}'")
        if by == "PGOPTIONS":
            monkeypatch.setenv("PGOPTIONS", options)
        url = make_url(postgres_server.url(driver, name, user=role))
        if by == "options":
            url = url.update_query_dict({"options": options})
        opened = open_database(url.render_as_string(hide_password=False))
        ensure_tables(opened)
        with opened.writing() as tx:
            rows.open_batch(tx)
            rows.list_images(tx, [rows.listed("in/猫🐈.jpg", last_modified=BEFORE)])
            (row,) = rows.image_rows(tx)
        opened.close()

    assert (row["key"], row["last_modified"]) == ("in/猫🐈.jpg", BEFORE)


def test_a_search_path_without_a_schema_is_named_with_its_cure(postgres_server: RunningPostgres, driver: str) -> None:
    with made(postgres_server, "pathless", "", ["ALTER DATABASE {name} SET search_path TO nowhere"]) as name:
        opened = open_database(postgres_server.url(driver, name), name="image_prompts_db")
        with pytest.raises(TableError, match=r"no schema has been selected.*Set \[midjourney\] schema"):
            ensure_tables(opened)
        opened.close()
