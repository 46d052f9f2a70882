"""An upgrade that adds an index holds up no writer, is done by one process, and goes on where it was broken off."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import get_context
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import OperationalError

from airflow_midjourney.describe.table.database import Database, open_database
from airflow_midjourney.describe.table.migrations import ensure_tables, latest, print_additions
from airflow_midjourney.describe.table.schema import TableNames
from airflow_midjourney.describe.table.upgrades.index_builds import BUILDING
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from tests.support.places import MetadataPlace

#: The revision before the first whose indexes were built beside the writers, and what it adds.
BEFORE: Final = 19
ADDED: Final = ("ix_image_prompts_open_keys", "ix_image_prompts_doubt_keys")

#: Seconds in which a busy machine surely comes to something.
PATIENCE: Final = 120


@pytest.fixture
def earlier(postgres_place: MetadataPlace) -> Iterator[Database]:
    """Tables as revision 19 had them, with a row."""
    database = open_database(postgres_place.url, postgres_place.names, name="image_prompts_db")
    ensure_tables(database)
    with database.writing() as tx:
        for index in ADDED:
            tx.connection.exec_driver_sql(f"DROP INDEX {postgres_place.names.schema}.{index}")
        meta = tx.tables.meta
        tx.connection.execute(meta.update().where(meta.c.name == "revision").values(value=str(BEFORE)))
        rows.list_images(tx, [rows.listed("a.jpg")])
    yield database
    database.close()


def revision_of(database: Database) -> int:
    meta = database.tables.meta.c
    with database.reading() as tx:
        return int(tx.connection.execute(select(meta.value).where(meta.name == "revision")).scalar_one())


def states(database: Database) -> dict[str, bool]:
    """Give the added indexes that are there, and whether each can be used."""
    query = text(
        "SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE relnamespace = to_regnamespace(:schema) AND relname = ANY (:names)"
    )
    with database.reading() as tx:
        found = tx.connection.execute(query, {"schema": database.names.schema, "names": list(ADDED)})
        return {row.relname: row.indisvalid for row in found}


ALL_USABLE: Final = dict.fromkeys(ADDED, True)


@contextmanager
def old_snapshot(place: MetadataPlace) -> Iterator[Connection]:
    """Keep a snapshot as a long report does: no index is finished before it is gone."""
    engine = create_engine(place.url, isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        connection.execute(text(f"SELECT count(*) FROM {place.names.schema}.image_prompts"))
        yield connection
    engine.dispose()


def builders(database: Database) -> list[int]:
    """Give the processes of Postgres that build an index of these tables."""
    query = text("SELECT pid FROM pg_stat_progress_create_index WHERE relid = to_regclass(:name)")
    with database.reading() as tx:
        return list(tx.connection.execute(query, {"name": tx.tables.images.fullname}).scalars())


def wait_for_builders(database: Database, number: int) -> list[int]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = builders(database)
        if len(found) == number:
            return found
        time.sleep(0.02)
    return pytest.fail(f"{len(builders(database))} indexes are being built, not {number}.")


def images_are_described(database: Database, key: str) -> bool:
    """List, claim and submit an image, as a task does."""
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(key)])
        batch = rows.open_batch(tx)
        return rows.submit_next(tx, batch, task_id=key).task_id == key


def end_head_start(database: Database) -> None:
    """Let the time be over in which a process may have begun to build without Postgres showing it."""
    meta = database.tables.meta
    with database.writing() as tx:
        past = (tx.now - timedelta(seconds=1)).isoformat()
        tx.connection.execute(meta.update().where(meta.c.name == BUILDING).values(value=past))


def test_tasks_go_on_while_one_builds_and_no_second_one_does(postgres_place: MetadataPlace, earlier: Database) -> None:
    another = open_database(postgres_place.url, postgres_place.names)
    with ThreadPoolExecutor(1) as pool:
        with old_snapshot(postgres_place):
            upgraded = pool.submit(ensure_tables, earlier)
            wait_for_builders(earlier, 1)
            end_head_start(another)

            ensure_tables(another)

            assert images_are_described(another, "b.jpg")
            assert images_are_described(another, "c.jpg")
            assert len(builders(another)) == 1
            assert revision_of(another) == BEFORE
            assert not upgraded.done()
        upgraded.result(timeout=PATIENCE)

    assert states(earlier) == ALL_USABLE
    assert revision_of(earlier) == latest()
    another.close()


def leave_invalid(place: MetadataPlace, index: str) -> None:
    """Break a build off in the middle, as a person or a timeout does."""
    engine = create_engine(place.url, isolation_level="AUTOCOMMIT")
    with old_snapshot(place), engine.connect() as connection:
        connection.execute(text("SET lock_timeout = '1s'"))
        with pytest.raises(OperationalError):
            connection.execute(
                text(f"CREATE INDEX CONCURRENTLY {index} ON {place.names.schema}.image_prompts (bucket, bot_type, key)")
            )
    engine.dispose()


def test_an_index_that_was_left_invalid_is_dropped_and_built_again(
    postgres_place: MetadataPlace, earlier: Database
) -> None:
    leave_invalid(postgres_place, ADDED[0])
    assert states(earlier) == {ADDED[0]: False}

    ensure_tables(earlier)

    assert states(earlier) == ALL_USABLE
    assert revision_of(earlier) == latest()
    assert images_are_described(earlier, "b.jpg")


def upgrade(place: MetadataPlace) -> None:
    database = open_database(place.url, place.names)
    ensure_tables(database)


def test_a_killed_upgrade_is_ended_by_a_later_task(postgres_place: MetadataPlace, earlier: Database) -> None:
    with old_snapshot(postgres_place):
        process = get_context("spawn").Process(target=upgrade, args=(postgres_place,))
        process.start()
        (builder,) = wait_for_builders(earlier, 1)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join(PATIENCE)

        # Postgres goes on without its client, until it is ended, too.
        end_head_start(earlier)
        ensure_tables(earlier)
        assert (builders(earlier), revision_of(earlier)) == ([builder], BEFORE)
        with earlier.writing() as tx:
            tx.connection.execute(text("SELECT pg_terminate_backend(:pid, 60000)"), {"pid": builder})
        wait_for_builders(earlier, 0)
    assert states(earlier) == {ADDED[0]: False}

    ensure_tables(earlier)

    assert states(earlier) == ALL_USABLE
    assert revision_of(earlier) == latest()


def test_a_process_that_has_just_said_that_it_builds_is_left_to_it(earlier: Database) -> None:
    meta = earlier.tables.meta
    with earlier.writing() as tx:
        soon = (tx.now + timedelta(minutes=1)).isoformat()
        tx.connection.execute(meta.insert().values(name=BUILDING, value=soon))

    ensure_tables(earlier)
    assert (states(earlier), revision_of(earlier)) == ({}, BEFORE)
    assert images_are_described(earlier, "b.jpg")

    end_head_start(earlier)
    ensure_tables(earlier)
    assert (states(earlier), revision_of(earlier)) == (ALL_USABLE, latest())


def test_a_build_that_postgres_breaks_off_is_told_with_its_cure_and_not_repeated_at_once(
    postgres_place: MetadataPlace, caplog: pytest.LogCaptureFixture, earlier: Database
) -> None:
    engine = create_engine(postgres_place.url, connect_args={"options": "-c lock_timeout=1s"})
    impatient = Database(engine, postgres_place.names, name="image_prompts_db")
    with old_snapshot(postgres_place):
        ensure_tables(impatient)
    (told,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert f"CREATE INDEX CONCURRENTLY {ADDED[0]} ON {postgres_place.names.schema}.image_prompts" in told
    assert "tasks work without it" in told
    assert images_are_described(impatient, "b.jpg")

    ensure_tables(earlier)
    assert (states(earlier), revision_of(earlier)) == ({ADDED[0]: False}, BEFORE)

    end_head_start(earlier)
    ensure_tables(earlier)
    assert (states(earlier), revision_of(earlier)) == (ALL_USABLE, latest())
    impatient.close()


def test_the_printed_additions_build_indexes_beside_the_writers_and_say_how() -> None:
    lines = print_additions("postgresql", TableNames(), since=BEFORE).splitlines()
    built = [number for number, line in enumerate(lines) if line.startswith("CREATE INDEX CONCURRENTLY ")]
    assert {*ADDED} <= {lines[number].split()[3] for number in built}
    assert any("not in a transaction" in line for line in lines[: built[0]])
    assert not any(line.startswith(("ALTER", "COMMENT")) for line in lines[built[0] :])

    of_sqlite = print_additions("sqlite", TableNames(), since=BEFORE)
    assert "CREATE INDEX ix_image_prompts_open_keys" in of_sqlite
    assert "CONCURRENTLY" not in of_sqlite
