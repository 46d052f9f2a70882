"""Which rows belong to a batch with a manifest, and what it costs to ask with many rows and members in the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlalchemy.schema import CreateSchema

from airflow_midjourney.describe.model.batch import Position, Scope
from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.describe.table import batches, counts, leases
from airflow_midjourney.describe.table.batches import add_members, disputed_keys
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.doubt import in_doubt
from airflow_midjourney.describe.table.migrations import ensure_tables
from airflow_midjourney.describe.table.schema import TableNames
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

LIST = Scope(rows.BUCKET, manifest="s3://lists/list.txt")
FINISHED = 50_000


def list_and_add(tx: Transaction, batch: Batch, *keys: str) -> None:
    rows.list_images(tx, [rows.listed(key) for key in keys], bot_type=batch.scope.bot_type)
    add_members(tx, batch, keys)


def test_members_are_the_rows_that_were_added_of_the_bot_and_bucket(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("a"), rows.listed("b"), rows.listed("c")])
        rows.list_images(tx, [rows.listed("a")], bot_type=BotType.NIJI_JOURNEY)
        rows.list_images(tx, [rows.listed("a", bucket="others")])
        batch, other = rows.open_batch(tx, LIST), rows.open_batch(tx, LIST, run_id="other")
        add_members(tx, batch, ["a", "b", "none"])
        add_members(tx, batch, ["a", "b"])
        add_members(tx, other, ["c"])

        assert counts.count_open(tx, batch).pending == 2
        assert counts.count_open(tx, other).pending == 1
        assert [row.key for row in leases.reserve(tx, batch, "holder", 10)] == ["a", "b"]


def test_what_had_ended_before_is_left_out_unless_it_is_in_doubt(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed(key) for key in ("done", "lost", "doubtful", "late")])
        ids = {row["key"]: row["id"] for row in rows.image_rows(tx)}
        for key, status in (("done", "succeeded"), ("lost", "failed"), ("doubtful", "in_doubt")):
            rows.set_columns(tx, ids[key], status=status, ended_at=rows.LONG_AGO)
        batch = rows.open_batch(tx, LIST)
        rows.set_columns(tx, ids["late"], status="failed", ended_at=tx.now)
        add_members(tx, batch, list(ids))

        found = tx.connection.execute(tx.tables.members.select()).all()
        assert {row.image_id for row in found} == {ids["doubtful"], ids["late"]}
        assert counts.count(tx, batch).failed == 1


def test_a_listing_from_the_beginning_forgets_its_members_and_nobody_elses(database: Database) -> None:
    with database.writing() as tx:
        batch, other = rows.open_batch(tx, LIST), rows.open_batch(tx, LIST, run_id="other")
        list_and_add(tx, batch, "a", "b")
        list_and_add(tx, other, "a")
        batches.restart_listing(tx, batch.batch_id, Position(3, "somewhere else"))
        assert counts.count_open(tx, batch).pending == 2

        batches.restart_listing(tx, batch.batch_id, batch.position)

        assert (counts.count_open(tx, batch).pending, counts.count_open(tx, other).pending) == (0, 1)


def test_a_retry_keeps_the_members_and_another_manifest_does_not(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx, LIST)
        list_and_add(tx, batch, "a")

        assert counts.count_open(tx, rows.open_batch(tx, LIST)).pending == 1
        changed = rows.open_batch(tx, Scope(rows.BUCKET, manifest="s3://lists/other.txt"))
        assert counts.count_open(tx, changed).pending == 0
        assert batches.read_batch(tx, batch.batch_id).scope.manifest == "s3://lists/other.txt"


def test_versions_that_the_table_does_not_have_alone_are_disputed(database: Database) -> None:
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("same"), rows.listed("other"), rows.listed("rejected")])
        ids = {row["key"]: row["id"] for row in rows.image_rows(tx)}
        rows.set_columns(tx, ids["rejected"], status="rejected", reason="replaced", ended_at=tx.now)
        told = [rows.listed("same"), rows.listed("other", "another"), rows.listed("rejected"), rows.listed("new")]

        assert disputed_keys(tx, told, BotType.MID_JOURNEY) == {"other", "rejected"}
        assert disputed_keys(tx, told, BotType.NIJI_JOURNEY) == set()
        assert disputed_keys(tx, [], BotType.MID_JOURNEY) == set()


@pytest.fixture(params=["sqlite", "postgres"])
def full(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Many finished rows, all of them members of an older batch and of the one that is asked about."""
    if request.param == "sqlite":
        url, names = f"sqlite:///{tmp_path_factory.mktemp('members')}/image_prompts.sqlite", TableNames()
    else:
        url, names = request.getfixturevalue("postgres_url"), TableNames(schema="members")
    opened = open_database(url, names)
    with opened.writing() as tx:
        if names.schema:
            tx.connection.execute(CreateSchema(names.schema, if_not_exists=True))
    ensure_tables(opened)
    with opened.writing() as tx:
        rows.fill_with_finished_rows(tx, FINISHED)
        batch = rows.open_batch(tx, LIST)
        members, images = tx.tables.members.fullname, tx.tables.images.fullname
        for batch_id in ("older", batch.batch_id):
            statement = f"INSERT INTO {members} (batch_id, image_id) SELECT '{batch_id}', id FROM {images}"
            tx.connection.execute(text(statement))
    rows.analyze(opened)
    yield opened
    opened.close()


def test_a_batch_of_many_members_asks_about_those_that_are_open_or_ended_lately(full: Database) -> None:
    with full.writing() as tx:
        batch = rows.open_batch(tx, LIST)
        list_and_add(tx, batch, *(f"old/{number}0.jpg" for number in range(5)))
        rows.submit_next(tx, batch)
    with rows.plans(full) as found, full.writing() as tx:
        assert counts.count_open(tx, batch).total == 5
        assert counts.count(tx, batch).total == 5
        counts.count_undecided(tx, batch, rows.ACCOUNT.identity)
        in_doubt.release_for_resubmission(tx, batch, rows.ACCOUNT.identity)
        assert len(leases.reserve(tx, batch, "holder", 3)) == 3

    of_images = [plan for plan in found if "image_prompts_members" in plan]
    assert len(of_images) >= 4
    assert [plan for plan in of_images if walks(plan)] == []


def walks(plan: str) -> bool:
    """Say whether a plan goes through all images or all members of the batch."""
    looked_up_one_by_one = ("batch_id=? AND image_id=?", "image_id = image_prompts.id", "image_prompts.id = ")
    by_few = ("_open", "_ended", "_in_doubt", "_in_flight", "uq_image_prompts_twin", "_batch")
    if "Seq Scan" in plan or any(
        "SCAN image_prompts" in line and not any(name in line for name in by_few) for line in plan.split("\n")
    ):
        return True
    return not any(words in plan for words in looked_up_one_by_one) or not any(name in plan for name in by_few)
