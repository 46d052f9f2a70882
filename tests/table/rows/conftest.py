"""Two metadata databases for all tests of single rows: each test empties the one that it uses."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.table.database import Database, Transaction


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def kept_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """An open metadata database with its tables: to make one takes ten times as long as such a test."""
    if request.param == "sqlite":
        url, names = f"sqlite:///{tmp_path_factory.mktemp('single_rows')}/image_prompts.sqlite", TableNames()
    else:
        url, names = request.getfixturevalue("postgres_url"), TableNames(schema=f"rows_{uuid.uuid4().hex[:12]}")
        admin = create_engine(url)
        with admin.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {names.schema}"))
        admin.dispose()
    opened = open_database(url, names, name="image_prompts_db")
    ensure_tables(opened)
    yield opened
    opened.close()


@pytest.fixture
def database(kept_database: Database) -> Database:
    """The database without rows, whose next row has the number 1."""
    with kept_database.writing() as tx:
        _empty(tx)
    return kept_database


def _empty(tx: Transaction) -> None:
    tables = [table for table in tx.tables.metadata.sorted_tables if table is not tx.tables.meta]
    if tx.is_postgres:
        names = ", ".join(table.fullname for table in tables)
        tx.connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
    else:
        for table in reversed(tables):
            tx.connection.execute(table.delete())
