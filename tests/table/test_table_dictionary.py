"""Every column says what it means: in the code, in Postgres, in the printed DDL, and on a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, inspect

from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables, print_additions, print_ddl
from airflow_midjourney.describe.table.schema import TableNames, build_tables
from airflow_midjourney.describe.table.schema.dictionary import print_dictionary

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

PAGE = Path(__file__).parents[2] / "docs" / "table.md"

TABLES = build_tables(TableNames()).metadata.sorted_tables

COLUMNS = [pytest.param(column, id=f"{table.name}.{column.name}") for table in TABLES for column in table.columns]

#: Every comment in the database, by table and column; None for the table itself.
Found = dict[tuple[str, str | None], str | None]


def meant() -> Found:
    columns: Found = {(table.name, column.name): column.comment for table in TABLES for column in table.columns}
    return columns | {(table.name, None): table.comment for table in TABLES}


def comments_in(url: str, schema: str | None) -> Found:
    engine = create_engine(url)
    inspector = inspect(engine)
    found: Found = {}
    for table in TABLES:
        found[table.name, None] = inspector.get_table_comment(table.name, schema=schema)["text"]
        for column in inspector.get_columns(table.name, schema=schema):
            found[table.name, column["name"]] = column["comment"]
    engine.dispose()
    return found


@pytest.fixture
def postgres(place: MetadataPlace) -> MetadataPlace:
    if not place.url.startswith("postgresql"):
        pytest.skip("SQLite keeps no comments.")
    return place


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_says_in_plain_words_what_it_means(column: object) -> None:
    comment = getattr(column, "comment", None) or ""

    assert comment.endswith(".")
    assert 10 < len(comment) <= 200
    assert not re.search(r"\b(nobody|somebody|whoever|those that|what is)\b", comment)
    assert not set(comment) & set("|;%\n"), "It stands in a Markdown table and in a statement."


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_that_may_be_empty_says_when(column: object) -> None:
    if not getattr(column, "nullable", False):
        return
    comment = str(getattr(column, "comment", ""))

    assert re.search(r"[Ee]mpt(y|ied|ies)|never", comment), comment


def test_the_page_is_what_the_columns_say() -> None:
    assert PAGE.read_text() == print_dictionary(), "Run `make dictionary`."


def test_the_page_has_a_line_for_every_column() -> None:
    page = PAGE.read_text()

    assert len(re.findall(r"^\| `\w+` \|", page, re.MULTILINE)) == len(COLUMNS)
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == [
        "image_prompts",
        *(f"image_prompts_{name}" for name in ("submissions", "batches", "members")),
        *(f"image_prompts_{name}" for name in ("requests", "reviews", "review_leases")),
        *(f"image_prompts_{name}" for name in ("accounts", "tallies", "meta")),
        "image_prompts_current",
    ]


def test_postgres_has_the_words_beside_the_columns(postgres: MetadataPlace, database: Database) -> None:
    assert comments_in(postgres.url, postgres.names.schema) == meant()


def test_comments_that_an_older_release_lacked_are_added_once(postgres: MetadataPlace, database: Database) -> None:
    meta = database.tables.meta
    with database.writing() as tx:
        tx.connection.exec_driver_sql(f"COMMENT ON TABLE {meta.fullname} IS NULL")
        tx.connection.exec_driver_sql(f"COMMENT ON COLUMN {database.tables.images.fullname}.reader IS 'Older words.'")
        tx.connection.execute(meta.update().where(meta.c.name == "revision").values(value="6"))
    later = open_database(postgres.url, postgres.names)

    ensure_tables(later)
    ensure_tables(later)

    later.close()
    assert comments_in(postgres.url, postgres.names.schema) == meant()


def test_a_dba_gets_the_words_with_the_statements() -> None:
    for printed in (print_ddl("postgresql", TableNames()), print_additions("postgresql", TableNames(), since=6)):
        assert len(set(re.findall(r"COMMENT ON COLUMN \S+", printed))) == len(COLUMNS)
        assert printed.count("COMMENT ON TABLE ") == len(TABLES)
    assert "COMMENT" not in print_ddl("sqlite", TableNames()) + print_additions("sqlite", TableNames(), since=1)
