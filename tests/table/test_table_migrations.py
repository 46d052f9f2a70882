"""The tables are made once, by the first process, or by a person who runs the printed statements."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.engine import make_url

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.table.database import Database, open_database
from airflow_midjourney.describe.table.migrations import ensure_tables, latest
from airflow_midjourney.describe.table.schema import SCHEMA_VERSION, TableNames
from tests.support import rows

if TYPE_CHECKING:
    from tests.support.places import MetadataPlace

PROCESSES = 4


def make_tables(place: MetadataPlace) -> int:
    database = open_database(place.url, place.names)
    ensure_tables(database)
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
    database.close()
    return os.getpid()


def test_several_processes_at_once_make_the_tables_once(place: MetadataPlace) -> None:
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        assert len(list(pool.map(make_tables, [place] * PROCESSES * 2))) == PROCESSES * 2

    database = open_database(place.url, place.names)
    with database.reading() as tx:
        facts = tx.connection.execute(text(f"SELECT name, value FROM {tx.tables.meta.fullname} ORDER BY name"))
        assert [tuple(fact) for fact in facts] == [
            ("revision", str(latest())),
            ("schema_version", str(SCHEMA_VERSION)),
        ]
        assert len(rows.image_rows(tx)) == 1
    database.close()


def test_making_them_again_changes_nothing(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        before = rows.image_rows(tx)

    ensure_tables(database)
    ensure_tables(database, manage_schema=False)

    with database.reading() as tx:
        assert rows.image_rows(tx) == before


def test_without_the_right_to_make_them_the_message_says_how_to_get_them(place: MetadataPlace) -> None:
    database = open_database(place.url, place.names, name="image_prompts_db")

    with pytest.raises(TableError, match=r"image_prompts_db.*airflow_midjourney\.describe\.table"):
        ensure_tables(database, manage_schema=False)

    with database.reading() as tx:
        assert not inspect(tx.connection).has_table("image_prompts", schema=place.names.schema)
    database.close()


def test_the_printed_statements_make_tables_that_work(place: MetadataPlace) -> None:
    dialect = "postgresql" if place.url.startswith("postgresql") else "sqlite"
    command = [sys.executable, "-m", "airflow_midjourney.describe.table", "--dialect", dialect]
    if place.names.schema:
        command += ["--schema", place.names.schema]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    engine = create_engine(place.url)
    with engine.begin() as connection:
        for statement in filter(str.strip, printed.split(";\n")):
            connection.exec_driver_sql(statement)
    engine.dispose()

    database = open_database(place.url, place.names)
    ensure_tables(database, manage_schema=False)
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        batch = rows.open_batch(tx)
        assert rows.submit_next(tx, batch).task_id == "1"
        made = {index["name"] for index in inspect(tx.connection).get_indexes("image_prompts", place.names.schema)}
    assert {index.name for index in database.tables.images.indexes} <= made
    database.close()


def test_tables_of_a_newer_release_are_refused(database: Database) -> None:
    with database.writing() as tx:
        tx.connection.execute(tx.tables.meta.update().values(value=str(SCHEMA_VERSION + 1)))

    with pytest.raises(TableError, match=rf"schema version {SCHEMA_VERSION + 1}.*newer release"):
        ensure_tables(database)


def test_other_names_give_other_tables(place: MetadataPlace) -> None:
    names = TableNames(table="other", schema=place.names.schema)
    first, second = open_database(place.url, place.names), open_database(place.url, names)
    ensure_tables(first)
    ensure_tables(second)

    with second.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
    with first.reading() as tx:
        assert rows.image_rows(tx) == []
    first.close()
    second.close()


def test_any_other_database_is_refused_with_a_pointer_to_what_works() -> None:
    engine = create_engine("sqlite://")
    engine.dialect.name = "mysql"

    with pytest.raises(TableError, match=r"'image_prompts_db' is a mysql database.*Postgres, or SQLite"):
        Database(engine, name="image_prompts_db")


def test_sqlite_with_a_schema_is_refused() -> None:
    with pytest.raises(TableError, match="no schemas"):
        Database(create_engine("sqlite://"), TableNames(schema="public"), name="image_prompts_db")


def test_a_database_that_is_not_there_is_named_without_its_password(postgres_url: str) -> None:
    unreachable = make_url("postgresql+psycopg2://me:hush@127.0.0.1:1/none").render_as_string(False)
    database = open_database(unreachable, name="image_prompts_db")

    with pytest.raises(TableError, match="image_prompts_db") as caught:
        ensure_tables(database)

    assert "hush" not in str(caught.value)
    database.close()
