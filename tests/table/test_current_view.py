"""The view for other tools: each image once, in the version that S3 listed last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import inspect, text

from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.service.prompts import parse_prompts
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import REVISIONS, ensure_tables, print_additions
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.schema.current import CURRENT_COLUMNS
from airflow_midjourney.describe.table.schema.reviews import REVIEW_COLUMNS
from airflow_midjourney.describe.table.upgrades.additions import AddedColumn, AddedIndex, additions
from tests.support import rows
from tests.table.test_table_upgrades import dialect_of, make_frozen, run_script

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction
    from tests.support.places import MetadataPlace


def seen(tx: Transaction) -> list[dict[str, Any]]:
    """Read the view."""
    name = f"{tx.tables.images.fullname}_current"
    return [dict(row) for row in tx.connection.execute(text(f"SELECT * FROM {name} ORDER BY id")).mappings()]


def describe_one(tx: Transaction, answer: str = "1. one two\n\n2. three four") -> None:
    row = rows.submit_next(tx, rows.open_batch(tx))
    prompts = parse_prompts(answer)
    assert prompts is not None
    assert rows.described(tx, row, prompts, answer, RemoteTimes())


def test_it_has_each_image_and_bot_once_with_its_prompts(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        describe_one(tx)
        rows.list_images(tx, [rows.listed("a.jpg")], bot_type=BotType.NIJI_JOURNEY)

        found = seen(tx)

    assert tuple(found[0]) == (*CURRENT_COLUMNS, *REVIEW_COLUMNS)
    assert [(row["key"], row["bot_type"], row["status"], row["prompt_1"]) for row in found] == [
        ("a.jpg", "MID_JOURNEY", "succeeded", "one two"),
        ("a.jpg", "NIJI_JOURNEY", "pending", None),
    ]


def test_a_replaced_object_is_there_as_its_new_version_and_no_other(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg", "first"), rows.listed("b.jpg")])
        describe_one(tx)
        rows.list_images(tx, [rows.listed("a.jpg", "second")])

        found = seen(tx)

    assert [(row["key"], row["image_version"], row["prompt_1"]) for row in found] == [
        ("b.jpg", "etag", None),
        ("a.jpg", "second", None),
    ]


def test_where_two_versions_seem_current_it_is_the_later_row(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg", "first")])
        rows.list_images(tx, [rows.listed("a.jpg", "second")])
        tx.connection.execute(tx.tables.images.update().values(is_current=True))

        assert [row["image_version"] for row in seen(tx)] == ["second"]


@pytest.mark.parametrize("printed", [False, True], ids=["by the migration", "by a DBA"])
def test_tables_of_an_older_release_get_it(place: MetadataPlace, printed: bool) -> None:
    make_frozen(place)
    if printed:
        run_script(place, print_additions(dialect_of(place), place.names, since=1))
    database = open_database(place.url, place.names)
    ensure_tables(database, manage_schema=not printed)
    ensure_tables(database)

    with database.writing() as tx:
        assert seen(tx) == []
    database.close()


@pytest.mark.parametrize("printed", [False, True], ids=["by the migration", "by a DBA"])
def test_one_without_decisions_gets_them_and_its_readers_keep_their_rights(
    database: Database, place: MetadataPlace, printed: bool
) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        describe_one(tx)
        images, view = tx.tables.images.fullname, f"{tx.tables.images.fullname}_current"
        tx.connection.execute(text(f"DROP VIEW {view}"))
        tx.connection.execute(text(f"CREATE VIEW {view} AS SELECT {', '.join(CURRENT_COLUMNS)} FROM {images}"))
        if tx.is_postgres:
            tx.connection.execute(text(f"GRANT SELECT ON {view} TO pg_monitor"))
        tx.connection.execute(text(f"DROP TABLE {tx.tables.reviews.fullname}"))
        tx.connection.execute(text(f"DROP TABLE {tx.tables.review_leases.fullname}"))
        schema = f"{place.names.schema}." if place.names.schema else ""
        for one in reversed(list(additions(tx.tables, 19, REVISIONS))):
            if isinstance(one, AddedIndex):
                tx.connection.execute(text(f"DROP INDEX {schema}{one.index.name}"))
            elif isinstance(one, AddedColumn):
                tx.connection.execute(text(f"ALTER TABLE {one.table.fullname} DROP COLUMN {one.column.name}"))
        meta = tx.tables.meta
        tx.connection.execute(meta.update().where(meta.c.name == "revision").values(value="18"))

    if printed:
        run_script(place, print_additions(dialect_of(place), place.names, since=18))
    ensure_tables(database, manage_schema=not printed)

    with database.reading() as tx:
        (row,) = seen(tx)
        assert (row["prompt_1"], row["decision"]) == ("one two", None)
        if tx.is_postgres:
            query = text("SELECT has_table_privilege('pg_monitor', :view, 'SELECT')")
            assert tx.connection.execute(query, {"view": view}).scalar()


def test_a_dba_may_leave_it_out(place: MetadataPlace) -> None:
    database = open_database(place.url, place.names)
    ensure_tables(database)
    with database.writing() as tx:
        tx.connection.execute(text(f"DROP VIEW {tx.tables.images.fullname}_current"))

    ensure_tables(database, manage_schema=False)

    with database.reading() as tx:
        assert inspect(tx.connection).get_view_names(schema=place.names.schema) == []
    database.close()


def test_it_was_made_by_one_revision_and_got_the_decisions_by_another() -> None:
    assert [revision.number for revision in REVISIONS if revision.views] == [18, 19]
