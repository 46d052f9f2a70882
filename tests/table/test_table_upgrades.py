"""Tables that an earlier release made open in this one, and this one works beside a later release."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import Column, Text, create_engine, event, inspect, literal, select, text

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.table.database import Database, open_database
from airflow_midjourney.describe.table.migrations import (
    REVISIONS,
    ensure_tables,
    latest,
    print_additions,
    print_ddl,
)
from airflow_midjourney.describe.table.schema import TableNames, build_tables
from airflow_midjourney.describe.table.upgrades.additions import Revision
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.places import MetadataPlace

FROZEN: Final = Path(__file__).parents[1] / "fixtures" / "schema"
REVISIONS_FROZEN: Final = sorted({int(path.name.split("-")[0]) for path in FROZEN.glob("*.sql")})
PROCESSES: Final = 4

#: What the next release might add.
NEXT: Final = Revision(latest() + 1, columns=(("images", "mood"),))


def dialect_of(place: MetadataPlace) -> str:
    return "postgresql" if place.url.startswith("postgresql") else "sqlite"


def run_script(place: MetadataPlace, script: str) -> None:
    """Run DDL as a DBA does, in the schema of this test: statement by statement, each its own transaction."""
    engine = create_engine(place.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if place.names.schema:
            connection.exec_driver_sql(f"SET search_path TO {place.names.schema}")
        for statement in filter(str.strip, script.split(";\n")):
            connection.exec_driver_sql(statement)
    engine.dispose()


def make_frozen(place: MetadataPlace, revision: int = 1) -> None:
    run_script(place, (FROZEN / f"{revision}-{dialect_of(place)}.sql").read_text())


def columns_and_indexes(database: Database) -> dict[str, Any]:
    """Everything about the tables that a query can depend on, without the order of columns."""
    found: dict[str, Any] = {}
    with database.reading() as tx:
        inspector = inspect(tx.connection)
        for table in database.tables.metadata.sorted_tables:
            columns = {
                column["name"]: (str(column["type"]), column["nullable"], column.get("comment"))
                for column in inspector.get_columns(table.name, schema=table.schema)
            }
            indexes = {
                index["name"]: (index["column_names"], index["unique"])
                for index in inspector.get_indexes(table.name, schema=table.schema)
            }
            found[table.name] = (columns, indexes)
    return found


def columns_and_indexes_of_today(place: MetadataPlace) -> dict[str, Any]:
    fresh = open_database(place.url, replace(place.names, table="fresh"))
    ensure_tables(fresh)
    found = {
        name.replace("fresh", "image_prompts"): (
            columns,
            {str(index).replace("fresh", "image_prompts"): facts for index, facts in indexes.items()},
        )
        for name, (columns, indexes) in columns_and_indexes(fresh).items()
    }
    fresh.close()
    return found


def with_mood(database: Database) -> Database:
    """Let a database object be that of the next release."""
    database.tables.images.append_column(Column("mood", Text))
    return database


@pytest.fixture
def opened(place: MetadataPlace) -> Iterator[Database]:
    database = open_database(place.url, place.names, name="image_prompts_db")
    yield database
    database.close()


def images_are_described(database: Database) -> bool:
    """Use the tables for what they are there for."""
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a.jpg")])
        batch = rows.open_batch(tx)
        submitted = rows.submit_next(tx, batch)
    with database.reading() as tx:
        return [row["submit_token"] for row in rows.bill(tx)] == [submitted.submit_token]


@pytest.mark.parametrize("revision", REVISIONS_FROZEN)
def test_frozen_tables_become_those_of_today(
    place: MetadataPlace, opened: Database, revision: int, tmp_path: Path
) -> None:
    make_frozen(place, revision)

    ensure_tables(opened)

    hint = "Name what was added in describe/table/migrations.py, under the next number."
    assert columns_and_indexes(opened) == columns_and_indexes_of_today(place), hint
    assert images_are_described(opened)


def test_rows_of_the_release_before_are_still_there(place: MetadataPlace, opened: Database) -> None:
    make_frozen(place)
    schema = f"{place.names.schema}." if place.names.schema else ""
    run_script(
        place,
        f"INSERT INTO {schema}image_prompts_accounts (account, paused, next_poll_at, poll_interval, silence,"
        " created_at, updated_at) VALUES ('https://service.example:443/me', false, '2026-01-01', 3, 0,"
        " '2026-01-01', '2026-01-01')",
    )

    ensure_tables(opened)

    with opened.reading() as tx:
        assert tx.connection.execute(select(tx.tables.accounts.c.account)).scalars().all() == [
            "https://service.example:443/me"
        ]


def test_what_is_added_may_be_null_so_that_the_release_before_can_go_on_writing(place: MetadataPlace) -> None:
    tables = build_tables(place.names)

    for revision in REVISIONS:
        for table, column in revision.columns:
            assert getattr(tables, table).c[column].nullable
    numbers = [revision.number for revision in REVISIONS]
    assert numbers == sorted(set(numbers))
    assert numbers[0] == 2


def test_the_printed_additions_are_those_that_are_made(place: MetadataPlace, opened: Database) -> None:
    make_frozen(place)

    run_script(place, print_additions(dialect_of(place), place.names, since=1))

    ensure_tables(opened, manage_schema=False)
    assert images_are_described(opened)


def test_a_dba_is_told_what_is_missing_and_which_statements_add_it(place: MetadataPlace, opened: Database) -> None:
    make_frozen(place)

    with pytest.raises(TableError) as caught:
        ensure_tables(opened, manage_schema=False)

    message = str(caught.value)
    assert f"{opened.tables.images.fullname}.absent_since" in message
    command = re.search(r"`((?:PYTHONPATH=\S+ )?python -m airflow_midjourney\.describe\.table .*)`", message)
    assert command is not None
    assert f"--dialect {dialect_of(place)}" in command[1]
    assert command[1].endswith("--since 1")
    # As a DBA runs it: in another folder, with nothing of ours on the path.
    bare = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}
    printed = subprocess.run(["bash", "-c", command[1]], capture_output=True, text=True, check=True, cwd="/", env=bare)
    assert "absent_since" in printed.stdout


def test_a_table_of_the_next_release_is_used_as_it_is(place: MetadataPlace, opened: Database) -> None:
    later = with_mood(open_database(place.url, place.names))
    ensure_tables(later, revisions=(*REVISIONS, NEXT))
    later.close()

    ensure_tables(opened)
    ensure_tables(opened, manage_schema=False)

    assert images_are_described(opened)
    assert revision_of(opened) == NEXT.number


def test_columns_that_a_dba_has_added_by_hand_are_not_added_again(place: MetadataPlace, opened: Database) -> None:
    make_frozen(place)
    column = "TIMESTAMP WITH TIME ZONE" if place.names.schema else "DATETIME"
    run_script(place, f"ALTER TABLE image_prompts ADD COLUMN absent_since {column}")

    ensure_tables(opened)

    assert revision_of(opened) == latest()


def revision_of(database: Database) -> int:
    meta = database.tables.meta.c
    with database.reading() as tx:
        return int(tx.connection.execute(select(meta.value).where(meta.name == "revision")).scalar_one())


def upgrade(place: MetadataPlace) -> tuple[int, list[str]]:
    """Open the tables in a process of its own; count the columns that it added, and name the indexes that it built."""
    database = with_mood(open_database(place.url, place.names))
    seen: list[str] = []
    event.listen(database.engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: seen.append(statement))
    ensure_tables(database, revisions=(*REVISIONS, NEXT))
    database.close()
    built = [statement.split()[3] for statement in seen if statement.startswith("CREATE INDEX CONCURRENTLY")]
    return len([statement for statement in seen if " ADD COLUMN " in statement]), built


def test_several_processes_at_once_upgrade_once(place: MetadataPlace, opened: Database) -> None:
    make_frozen(place)
    columns_added = sum(len(revision.columns) for revision in (*REVISIONS, NEXT))

    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        altered = list(pool.map(upgrade, [place] * PROCESSES * 2))

    assert sum(columns for columns, _ in altered) == columns_added
    built = [index for _, indexes in altered for index in indexes]
    assert len(built) == len(set(built))
    assert revision_of(opened) == NEXT.number


def wait_until_one_waits_for_a_lock(place: MetadataPlace) -> None:
    engine = create_engine(place.url)
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.execute(waiting).scalar_one():
                engine.dispose()
                return
        time.sleep(0.02)
    pytest.fail("The upgrade waits for no lock.")


@pytest.mark.parametrize("held", ["images", "submissions", "batches"])
def test_an_upgrade_holds_no_table_while_it_waits_for_another(postgres_place: MetadataPlace, held: str) -> None:
    """A worker of the release before may read one table and then others in one transaction, without a deadlock."""
    make_frozen(postgres_place)
    worker = open_database(postgres_place.url, postgres_place.names)
    database = open_database(postgres_place.url, postgres_place.names)
    tables = worker.tables

    with ThreadPoolExecutor(1) as pool:
        with worker.engine.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '5s'"))
            connection.execute(select(literal(1)).select_from(getattr(tables, held)))
            upgraded = pool.submit(ensure_tables, database)
            wait_until_one_waits_for_a_lock(postgres_place)
            for other in (tables.images, tables.submissions, tables.batches):
                connection.execute(select(literal(1)).select_from(other))
        upgraded.result(timeout=60)

    assert revision_of(database) == latest()
    database.close()
    worker.close()


@pytest.mark.parametrize("changes", [1, 2, 9, 20])
def test_an_upgrade_that_is_killed_is_ended_by_the_next(place: MetadataPlace, opened: Database, changes: int) -> None:
    make_frozen(place)
    left = changes

    def kill(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        nonlocal left
        left -= statement.startswith(("ALTER", "CREATE"))
        if not left:
            raise KeyboardInterrupt

    killed = open_database(place.url, place.names)
    event.listen(killed.engine, "before_cursor_execute", kill)
    with pytest.raises(KeyboardInterrupt):
        ensure_tables(killed)
    killed.close()

    ensure_tables(opened)

    assert columns_and_indexes(opened) == columns_and_indexes_of_today(place)
    assert revision_of(opened) == latest()


def test_frozen_files_of_this_revision_are_what_is_printed_today() -> None:
    """Once a release is made, its tables do not change without a revision of their own."""
    for dialect in ("sqlite", "postgresql"):
        path = FROZEN / f"{latest()}-{dialect}.sql"
        if path.exists():
            assert path.read_text() == print_ddl(dialect, TableNames())
