"""Which rows are a batch's own, which an earlier batch of its task has left over, and which tasks opened batches."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from airflow_midjourney.describe.model.batch import BatchOptions, Listed, Origin, Position, Scope
from airflow_midjourney.describe.model.status import OPEN, BotType, Status
from airflow_midjourney.describe.table import batches
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

MINE = Scope(rows.BUCKET, ("mine/",))
ORIGIN = Origin("dag", "run", "task")
A_LITTLE = timedelta(seconds=1)


def open_batch(
    tx: Transaction, origin: Origin = ORIGIN, scope: Scope = MINE, ago: timedelta = timedelta(0), **options: Any
) -> Batch:
    """Open a batch that started some time ago."""
    batch = batches.open_batch(tx, scope, BatchOptions(**options), origin)
    table = tx.tables.batches
    this_one = table.update().where(table.c.batch_id == batch.batch_id)
    tx.connection.execute(this_one.values(started_at=tx.now - ago))
    return batches.read_batch(tx, batch.batch_id)


def batch_row(tx: Transaction, batch: Batch) -> dict[str, Any]:
    table = tx.tables.batches
    query = select(table).where(table.c.batch_id == batch.batch_id)
    return dict(tx.connection.execute(query).mappings().one())


def left_over_by(tx: Transaction, batch: Batch, *keys: str) -> None:
    rows.list_images(tx, [rows.listed(key) for key in keys], batch=batch)


EARLIER = timedelta(hours=1)


@pytest.mark.parametrize(
    ("origin", "options", "is_left_over"),
    [
        (Origin("dag", "earlier", "task"), {}, True),
        (Origin("another", "earlier", "task"), {}, False),
        (Origin("dag", "earlier", "another"), {}, False),
        (Origin("dag", "earlier", "task"), {"mj_conn_id": "another"}, False),
        (Origin("dag", "earlier", "task"), {"aws_conn_id": "another"}, False),
    ],
    ids=str,
)
def test_a_run_takes_what_the_same_task_left_over_with_the_same_connections(
    database: Database, origin: Origin, options: dict[str, Any], is_left_over: bool
) -> None:
    with database.writing() as tx:
        earlier = open_batch(tx, origin, ago=EARLIER, **options)
        left_over_by(tx, earlier, "mine/1")
        now = open_batch(tx)

        found = [one.batch_id for one in batches.left_over_batches(tx, now)]
        assert found == ([earlier.batch_id] if is_left_over else [])


@pytest.mark.parametrize(("ago", "is_left_over"), [(A_LITTLE, True), (0 * A_LITTLE, False), (-A_LITTLE, False)])
def test_only_a_batch_that_started_before_has_left_something_over(
    database: Database, ago: timedelta, is_left_over: bool
) -> None:
    with database.writing() as tx:
        left_over_by(tx, open_batch(tx, Origin("dag", "other", "task"), ago=ago), "mine/1")

        assert bool(batches.left_over_batches(tx, open_batch(tx))) == is_left_over


@pytest.mark.parametrize(
    ("columns", "is_left_over"),
    [({"status": status.value}, status is Status.PENDING) for status in Status]
    + [
        ({"bucket": "another"}, False),
        ({"bot_type": BotType.NIJI_JOURNEY.value}, False),
        ({"batch_id": "another"}, False),
        ({"key": "elsewhere/1"}, True),
    ],
    ids=str,
)
def test_what_is_left_over_is_a_row_that_waits_for_the_same_bot_in_the_same_bucket(
    database: Database, columns: dict[str, Any], is_left_over: bool
) -> None:
    with database.writing() as tx:
        left_over_by(tx, open_batch(tx, Origin("dag", "earlier", "task"), ago=EARLIER), "mine/1")
        rows.set_columns(tx, 1, **columns)
        now = open_batch(tx)

        assert bool(batches.left_over_batches(tx, now)) == is_left_over
        waits = tx.connection.execute(select(tx.tables.images.c.id).where(batches.left_over(tx.tables, now))).all()
        assert bool(waits) == (is_left_over or columns == {"batch_id": "another"})


def test_what_is_left_over_is_given_from_the_earliest_batch_on(database: Database) -> None:
    with database.writing() as tx:
        for run, hours in (("second", 1), ("first", 2), ("third", 0.5)):
            left_over_by(tx, open_batch(tx, Origin("dag", run, "task"), ago=EARLIER * hours), f"mine/{run}")

        found = [one.origin.run_id for one in batches.left_over_batches(tx, open_batch(tx))]
        assert found == ["first", "second", "third"]


@pytest.mark.parametrize("status", Status)
def test_a_batch_has_to_do_with_what_is_open_or_ended_since_it_started(database: Database, status: Status) -> None:
    is_open = status in OPEN
    with database.writing() as tx:
        batch = open_batch(tx)
        assert (batches.has_own_rows(tx, batch), batches.has_ended(tx, batch)) == (False, False)
        left_over_by(tx, batch, "elsewhere/1")
        assert (batches.has_own_rows(tx, batch), batches.has_ended(tx, batch)) == (False, False)

        left_over_by(tx, batch, "mine/1")
        for ended_at, is_own in ((batch.started_at, True), (batch.started_at - A_LITTLE, False)):
            rows.set_columns(tx, 2, status=status.value, ended_at=None if is_open else ended_at)
            assert batches.has_own_rows(tx, batch) == (is_own or is_open)
            assert batches.has_ended(tx, batch) == (is_own and not is_open)


def test_the_batches_of_tasks_are_those_of_the_run_and_of_the_same_map_index_where_there_is_one(
    database: Database,
) -> None:
    origins = [
        *(Origin("dag", "run", "b", index) for index in (1, 0)),
        Origin("dag", "run", "a"),
        *(Origin("dag", "run", "c"), Origin("dag", "another", "a"), Origin("another", "run", "a")),
    ]
    with database.writing() as tx:
        ids = [open_batch(tx, origin).batch_id for origin in origins]
        first, zeroth, unmapped = ids[:3]

        def of_tasks(*task_ids: str, index: int | None) -> list[str]:
            return batches.batches_of_tasks(tx, "dag", "run", task_ids, index)

        assert of_tasks("a", "b", index=None) == [unmapped, zeroth, first]
        assert of_tasks("a", "b", index=1) == [first]
        assert of_tasks("b", index=7) == [zeroth, first]
        assert of_tasks("none", index=None) == []


def test_a_batch_row_says_which_task_of_which_run_asked_for_what(database: Database) -> None:
    origin = Origin("dag", "run", "task", 3, rows.LONG_AGO)
    scope = Scope(rows.BUCKET, (), ("a", "b"), BotType.NIJI_JOURNEY)
    with database.writing() as tx:
        row = batch_row(tx, open_batch(tx, origin, scope, max_attempts=4))

        assert {name: value for name, value in row.items() if value} == {
            "batch_id": origin.batch_id,
            "bucket": rows.BUCKET,
            "keys": ["a", "b"],
            "bot_type": "NIJI_JOURNEY",
            "options": BatchOptions(max_attempts=4).to_json() | {"suffixes": None},
            "dag_id": "dag",
            "run_id": "run",
            "dag_task_id": "task",
            "map_index": 3,
            "logical_date": rows.LONG_AGO,
            "started_at": tx.now,
            "tried_at": tx.now,
            "updated_at": tx.now,
            "listed": Listed().to_json(),
        }


def test_a_clear_may_change_what_is_asked_for_and_starts_a_new_try(database: Database) -> None:
    with database.writing() as tx:
        first = open_batch(tx, ago=EARLIER)
        other = open_batch(tx, Origin("dag", "other", "task"))
        table = tx.tables.batches
        tx.connection.execute(table.update().values(tried_at=rows.LONG_AGO, updated_at=rows.LONG_AGO))
        before = batch_row(tx, other)
        again = batches.open_batch(tx, Scope("another", ("x/",)), BatchOptions(max_attempts=5), ORIGIN)

        assert (again.scope.bucket, again.scope.prefixes, again.options.max_attempts) == ("another", ("x/",), 5)
        assert (again.started_at, again.tried_at) == (first.started_at, tx.now)
        assert batch_row(tx, again)["updated_at"] == tx.now
        assert batch_row(tx, other) == before

        tx.connection.execute(table.update().values(tried_at=rows.LONG_AGO))
        assert batches.begin_try(tx, again.batch_id).tried_at == tx.now
        assert batches.read_batch(tx, other.batch_id).tried_at == rows.LONG_AGO


POSITION = Position(1, "b.jpg", "token")


def test_where_a_listing_stands_is_kept_for_its_batch_alone_until_it_ends_or_begins_anew(database: Database) -> None:
    with database.writing() as tx:
        batch, other = open_batch(tx), open_batch(tx, Origin("dag", "other", "task"))
        left_over_by(tx, batch, "mine/1", "mine/2")
        tx.connection.execute(tx.tables.batches.update().values(updated_at=rows.LONG_AGO))
        before = batch_row(tx, other)

        assert batches.move_listing(tx, batch.batch_id, Position(), POSITION, Listed(keys=3, images=2))
        assert batches.move_listing(tx, batch.batch_id, POSITION, replace(POSITION, after="c"), Listed(keys=1))
        moved = batches.read_batch(tx, batch.batch_id)
        assert (moved.position, moved.listed) == (replace(POSITION, after="c"), Listed(keys=4, images=2))
        assert batch_row(tx, batch)["updated_at"] == tx.now

        batches.restart_listing(tx, batch.batch_id, POSITION)
        assert batches.read_batch(tx, batch.batch_id) == moved
        batches.restart_listing(tx, batch.batch_id, moved.position, Position(2, "start"))
        assert batches.read_batch(tx, batch.batch_id) == replace(batch, position=Position(2, "start"))
        batches.restart_listing(tx, batch.batch_id, Position(2, "start"))
        assert batches.read_batch(tx, batch.batch_id) == batch

        batches.move_listing(tx, batch.batch_id, Position(), POSITION, Listed(keys=3))
        batches.end_listing(tx, batch.batch_id)
        ended = batches.read_batch(tx, batch.batch_id)
        assert (ended.listing_ended_at, ended.last_row_id) == (tx.now, 2)
        assert ended.position == replace(POSITION, continuation="")
        assert ended.listed == Listed(keys=3)
        assert batch_row(tx, other) == before


def test_a_batch_of_a_key_has_only_the_rows_of_its_bucket_its_bot_and_its_time(database: Database) -> None:
    with database.writing() as tx:
        batch = open_batch(tx, scope=Scope(rows.BUCKET, (), ("a",)))
        left_over_by(tx, batch, "a", "ab")

        def has_row(one: Batch, **columns: Any) -> bool:
            rows.set_columns(tx, 1, updated_at=tx.now, **columns)
            query = select(tx.tables.images.c.id).where(batches.in_scope(tx.tables, one))
            return tx.connection.execute(query).scalars().all() == [1]

        assert has_row(batch)
        assert has_row(replace(batch, last_row_id=1))
        assert not has_row(replace(batch, last_row_id=0))
        assert not has_row(batch, bot_type=BotType.NIJI_JOURNEY.value)
        assert not has_row(batch, bot_type=BotType.MID_JOURNEY.value, bucket="another")
