"""A batch is the same however often it is tried, and no page of its listing counts twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions, Listed, Origin, Position, Scope
from airflow_midjourney.describe.model.errors import BatchError
from airflow_midjourney.describe.table import batches, counts
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database

START, SECOND = Position(0, ""), Position(0, "b.jpg")
PAGE = Listed(keys=3, images=2, new=2)


def test_a_batch_is_read_as_it_was_opened(database: Database) -> None:
    scope = Scope(rows.BUCKET, ("ä/", "b'%_/"))
    options = BatchOptions(suffixes=(".jpg",), max_submissions=3, strip_metadata=False)
    origin = Origin("dag", "manual__2026-01-01T00:00:00+00:00", "task", 3, rows.LONG_AGO)
    with database.writing() as tx:
        opened = batches.open_batch(tx, scope, options, origin)
        read = batches.read_batch(tx, origin.batch_id)

    assert (read.scope, read.options, read.origin) == (scope, options, origin)
    assert read == opened
    assert read.position == START


def test_no_such_batch_is_an_error_that_says_what_to_give(database: Database) -> None:
    with database.reading() as tx, pytest.raises(BatchError, match=r"no batch 'none'.*submit\.output"):
        batches.read_batch(tx, "none")


def test_a_retry_in_the_middle_of_a_listing_goes_on_where_it_stopped(database: Database) -> None:
    with database.writing() as tx:
        first = rows.open_batch(tx)
        assert batches.move_listing(tx, first.batch_id, START, SECOND, PAGE)
    with database.writing() as tx:
        again = rows.open_batch(tx)

    assert again.batch_id == first.batch_id
    assert (again.position, again.listed) == (SECOND, PAGE)
    assert again.started_at == first.started_at
    assert again.tried_at > first.tried_at


def test_a_clear_after_the_end_lists_again_and_keeps_its_start(database: Database) -> None:
    with database.writing() as tx:
        first = rows.open_batch(tx)
        batches.move_listing(tx, first.batch_id, START, SECOND, PAGE)
        batches.end_listing(tx, first.batch_id)
        assert batches.read_batch(tx, first.batch_id).listing_ended_at is not None
    with database.writing() as tx:
        again = rows.open_batch(tx)

    assert (again.position, again.listed, again.listing_ended_at, again.last_row_id) == (START, Listed(), None, None)
    assert again.started_at == first.started_at


@pytest.mark.parametrize(
    "changed", [{"scope": Scope(rows.BUCKET, ("other/",))}, {"suffixes": (".png",)}, {"plan_only": True}]
)
def test_a_retry_that_would_have_found_something_else_starts_its_listing_anew(
    database: Database, changed: dict[str, Any]
) -> None:
    with database.writing() as tx:
        first = rows.open_batch(tx)
        batches.move_listing(tx, first.batch_id, START, SECOND, PAGE)

        assert rows.open_batch(tx, **changed).position == START


def test_a_retry_with_other_limits_takes_them_and_goes_on(database: Database) -> None:
    with database.writing() as tx:
        first = rows.open_batch(tx, max_submissions=1)
        batches.move_listing(tx, first.batch_id, START, SECOND, PAGE)
        again = rows.open_batch(tx, max_submissions=5)

    assert (again.position, again.options.max_submissions) == (SECOND, 5)


def test_a_page_that_two_workers_write_counts_once(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)

    def write(_: int) -> bool:
        with database.writing() as tx:
            return batches.move_listing(tx, batch.batch_id, START, SECOND, PAGE)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(write, range(4))) == [False, False, False, True]
    with database.reading() as tx:
        assert batches.read_batch(tx, batch.batch_id).listed == PAGE


def test_nothing_is_counted_after_the_end(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        assert batches.move_listing(tx, batch.batch_id, START, START, PAGE)
        batches.end_listing(tx, batch.batch_id)

        assert not batches.move_listing(tx, batch.batch_id, START, SECOND, PAGE)
        assert batches.read_batch(tx, batch.batch_id).listed == PAGE


def test_rows_that_come_after_the_end_belong_to_later_batches(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a")])
        batch = rows.open_batch(tx, run_id="first")
        batches.end_listing(tx, batch.batch_id)
        rows.list_images(tx, [rows.listed("b")])
        ended = batches.read_batch(tx, batch.batch_id)
        later = rows.open_batch(tx, run_id="second")

        assert counts.count_open(tx, ended).pending == 1
        assert counts.count_open(tx, later).pending == 2


def test_the_end_of_an_empty_listing_closes_the_scope_too(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
        batches.end_listing(tx, batch.batch_id)
        rows.list_images(tx, [rows.listed("a")])

        assert counts.count_open(tx, batches.read_batch(tx, batch.batch_id)).pending == 0


def test_a_new_try_is_noted_and_the_start_stays(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx)
    with database.writing() as tx:
        tried = batches.begin_try(tx, batch.batch_id)

    assert tried == replace(batch, tried_at=tried.tried_at)
    assert tried.tried_at > batch.tried_at


def test_a_batch_is_named_after_dag_run_task_and_map_index() -> None:
    names = {
        Origin(dag, run, task, index).batch_id
        for dag in ("a", "b")
        for run in ("r", "r/1", "r%2F1")
        for task in ("s", "t")
        for index in (None, 0, 1)
    }

    assert len(names) == 36
    assert Origin("a", "r", "s", -1).batch_id == Origin("a", "r", "s").batch_id
    assert Origin("a", "r", "s", 0).cap_scope == Origin("a", "r", "s", 1).cap_scope
