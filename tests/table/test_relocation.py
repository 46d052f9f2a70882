"""Moving from SQLite to Postgres: every row and number, once, also when it was cut off, and never into other rows."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.model.errors import TableError
from airflow_midjourney.describe.model.review import ReviewDecision
from airflow_midjourney.describe.queries.reviews import look_at_reviews
from airflow_midjourney.describe.table import leases
from airflow_midjourney.describe.table.database import Database, open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.relocation import relocate as relocation
from airflow_midjourney.describe.table.relocation.relocate import relocate
from airflow_midjourney.describe.table.results import RemoteTimes
from airflow_midjourney.describe.table.reviews.decisions import Review, Written, write_reviews
from airflow_midjourney.describe.table.reviews.leases import take_leases
from tests.support import rows
from tests.support.airflow_home import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.places import MetadataPlace

IMAGES = 25


@pytest.fixture
def source(sqlite_place: MetadataPlace) -> Iterator[Database]:
    """A file with rows in each table, and an answer on its way."""
    database = open_database(sqlite_place.url, sqlite_place.names)
    ensure_tables(database)
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(f"é/{number:03} 灯.jpg") for number in range(IMAGES)])
        batch = rows.open_batch(tx)
        row = rows.submit_next(tx, batch)
        assert rows.described(tx, row, rows.four_prompts(), "raw 🎉", RemoteTimes(rows.LONG_AGO, rows.LONG_AGO))
        rows.submit_next(tx, batch, task_id="2")
        leases.reserve(tx, batch, "holder", 2)
        tables = tx.tables
        tx.connection.execute(
            tables.members.insert(),
            [{"batch_id": name, "image_id": number} for name in ("b", "B", "a/é") for number in range(1, 9)],
        )
        tx.connection.execute(
            tables.requests.insert().values(request_id="r", asked_by="anna", asked_at=tx.now, image_ids=[1, 2])
        )
        tx.connection.execute(
            tables.tallies.insert().values(scope="day", up_to_id=1, submissions=1, cost=0, updated_at=tx.now)
        )
        (reviewed,) = look_at_reviews(tx, [row.id])
        write_reviews(tx, [Review(reviewed.seen, ReviewDecision.APPROVED, text="a lamp 灯")], "anna")
        take_leases(tx, [row.id], "a window")
    yield database
    database.close()


@pytest.fixture
def target(postgres_place: MetadataPlace) -> Iterator[Database]:
    database = open_database(postgres_place.url, postgres_place.names)
    yield database
    database.close()


def contents(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Read every table but that of the facts about them, in the order of their keys."""
    found = {}
    with database.reading() as tx:
        for table in tx.tables.metadata.sorted_tables:
            if table is not tx.tables.meta:
                query = select(table).order_by(*table.primary_key)
                found[table.name] = [dict(row) for row in tx.connection.execute(query).mappings()]
    return found


def facts(database: Database) -> dict[str, str]:
    with database.reading() as tx:
        return {row.name: row.value for row in tx.connection.execute(select(tx.tables.meta))}


def cut_off_after(pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the copy be killed between two pages."""
    copy_page, done = relocation._copy_page, []

    def copy(*arguments: Any) -> int:
        done.append(1)
        if len(done) > pages:
            raise KeyboardInterrupt
        return copy_page(*arguments)

    monkeypatch.setattr(relocation, "ROWS_A_PAGE", 7)
    monkeypatch.setattr(relocation, "_copy_page", copy)


def test_every_row_is_there_as_it_was_and_new_ones_get_new_numbers(source: Database, target: Database) -> None:
    lines: list[str] = []

    copied = relocate(source, target, lines.append)

    assert contents(target) == contents(source)
    assert {table.name.rpartition(".")[2]: table.rows for table in copied} == {
        name: len(found) for name, found in contents(source).items()
    }
    assert any(line.endswith(f"image_prompts: {IMAGES} rows copied.") for line in lines)
    assert "copying_from" not in facts(target)
    with target.writing() as tx:
        rows.list_images(tx, [rows.listed("new.jpg")])
        row = rows.submit_next(tx, rows.open_batch(tx), task_id="3")
        assert [one["id"] for one in rows.image_rows(tx)] == list(range(1, IMAGES + 2))
        assert [one["id"] for one in rows.bill(tx)] == [1, 2, 3]
        assert row.id in range(1, IMAGES + 2)
        (reviewed,) = look_at_reviews(tx, [1])
        (outcome,) = write_reviews(tx, [Review(reviewed.seen, ReviewDecision.REJECTED)], "ben")
        assert (outcome.written, outcome.newest and outcome.newest.id) == (Written.ADDED, 2)


@pytest.mark.parametrize("pages", [0, 1, 3, 6, 9])
def test_a_copy_that_was_cut_off_goes_on(
    source: Database, target: Database, pages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        cut_off_after(pages, patched)
        with pytest.raises(KeyboardInterrupt):
            relocate(source, target, str)
    assert "copying_from" in facts(target)

    relocate(source, target, str)

    assert contents(target) == contents(source)


def test_tables_with_rows_are_refused(source: Database, target: Database) -> None:
    ensure_tables(target)
    with target.writing() as tx:
        rows.list_images(tx, [rows.listed("other.jpg")])
    before = contents(target)

    with pytest.raises(TableError, match=r"has rows in \S*image_prompts already"):
        relocate(source, target, str)

    assert contents(target) == before


def test_a_finished_copy_is_refused_the_second_time(source: Database, target: Database) -> None:
    relocate(source, target, str)

    with pytest.raises(TableError, match="already"):
        relocate(source, target, str)


def test_a_source_that_was_written_meanwhile_is_refused(
    source: Database, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        cut_off_after(1, patched)
        with pytest.raises(KeyboardInterrupt):
            relocate(source, target, str)
    with source.writing() as tx:
        rows.list_images(tx, [rows.listed("late.jpg")])

    with pytest.raises(TableError, match="has been written since the copy began"):
        relocate(source, target, str)


def test_a_source_that_is_written_during_the_copy_is_found_out(source: Database, target: Database) -> None:
    def write(_line: str) -> None:
        with source.writing() as tx:
            rows.set_account(tx, updated_at=rows.LONG_AGO.replace(year=2999))

    with pytest.raises(TableError, match="was written while it was copied"):
        relocate(source, target, write)

    assert "copying_from" in facts(target)


def test_a_copy_from_postgres_is_refused(source: Database, target: Database) -> None:
    with pytest.raises(TableError, match="from SQLite to Postgres, not from postgresql to sqlite"):
        relocate(target, source, str)


def command(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "airflow_midjourney.describe.table", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY / "plugins")} | variables,
    )


def test_the_command_reads_urls_from_the_environment_and_says_how_it_went(
    source: Database, target: Database, sqlite_place: MetadataPlace, postgres_place: MetadataPlace
) -> None:
    arguments = ("--copy-from", "OLD_URL", "--copy-to", "NEW_URL", "--schema", str(postgres_place.names.schema))

    done = command(*arguments, OLD_URL=sqlite_place.url, NEW_URL=postgres_place.url)
    again = command(*arguments, OLD_URL=sqlite_place.url, NEW_URL=postgres_place.url)

    assert done.returncode == 0, done.stderr
    assert "rows are there. Let connection image_prompts_db name the target" in done.stdout
    assert contents(target) == contents(source)
    assert again.returncode == 1
    assert "already. Name an empty database or schema" in again.stderr


def test_the_command_says_which_variables_it_wants() -> None:
    done = command("--copy-from", "NOT_SET_AT_ALL")

    assert done.returncode == 1
    assert "Name both with --copy-from and --copy-to" in done.stderr
    assert "Traceback" not in done.stderr
