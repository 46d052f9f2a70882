"""Leafing through batches: newest first, of some DAGs only, at the same cost however many there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions, Origin
from airflow_midjourney.describe.queries.batches import WantedBatches, known_dags, list_batches
from airflow_midjourney.describe.table import batches
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.queries.batches import BatchCursor
    from airflow_midjourney.describe.table.database import Database, Transaction

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


def start(tx: Transaction, dag_id: str | None, run_id: str, minute: int, map_index: int | None = None) -> str:
    origin = Origin(dag_id, run_id, "submit", map_index)
    batch_id = batches.open_batch(tx, rows.EVERYTHING, BatchOptions(), origin).batch_id
    table = tx.tables.batches
    started_at = NOON + timedelta(minutes=minute)
    tx.connection.execute(table.update().where(table.c.batch_id == batch_id).values(started_at=started_at))
    return batch_id


def all_pages(tx: Transaction, dag_ids: list[str], wanted: WantedBatches, limit: int) -> list[list[str]]:
    pages: list[list[str]] = []
    before: BatchCursor | None = None
    while not pages or before is not None:
        page = list_batches(tx, dag_ids, wanted, limit, before)
        pages.append([batch.batch_id for batch in page.batches])
        before = page.following
    return pages


def test_pages_follow_each_other_without_gaps_though_some_started_at_the_same_moment(database: Database) -> None:
    with database.writing() as tx:
        started = [
            (minute, start(tx, f"dag-{number % 2}", f"run-{number}", minute))
            for number, minute in enumerate([3, 1, 2, 2, 2, 5, 4, 4])
        ]
        start(tx, "hidden", "run", 9)

        pages = all_pages(tx, ["dag-0", "dag-1", "no batches"], WantedBatches(), 3)

    assert [len(page) for page in pages] == [3, 3, 2]
    newest_first = [batch_id for _, batch_id in sorted(started, reverse=True)]
    assert [batch_id for page in pages for batch_id in page] == newest_first


def test_a_batch_that_starts_meanwhile_shifts_nothing(database: Database) -> None:
    with database.writing() as tx:
        ids = [start(tx, "dag", f"run-{number}", number) for number in range(4)]
        first = list_batches(tx, ["dag"], WantedBatches(), 2)
        start(tx, "dag", "newest", 10)

        second = list_batches(tx, ["dag"], WantedBatches(), 2, first.following)

    assert [batch.batch_id for batch in (*first.batches, *second.batches)] == ids[::-1]
    assert second.following is None


def test_it_finds_the_batches_of_a_run_and_of_a_part_of_a_task(database: Database) -> None:
    with database.writing() as tx:
        plain = start(tx, "dag", "a", 0)
        parts = [start(tx, "dag", "b", 1, index) for index in range(3)]

        def found(*wanted: str | int | None) -> set[str]:
            page = list_batches(tx, ["dag"], WantedBatches(*wanted), 10)  # type: ignore[arg-type]
            return {batch.batch_id for batch in page.batches}

        assert found("b") == set(parts)
        assert found("b", "submit", 2) == {parts[2]}
        assert found("a", "submit", -1) == {plain}
        assert found("b", "submit", -1) == set()
        assert found("a", "another") == set()


def test_the_newest_of_many_dags(database: Database) -> None:
    with database.writing() as tx:
        ids = [start(tx, f"dag-{number:03}", "run", number) for number in range(120)]

        page = list_batches(tx, known_dags(tx), WantedBatches(), 5)

    assert [batch.batch_id for batch in page.batches] == ids[:-6:-1]


def test_what_belongs_to_no_dag_is_in_no_list(database: Database) -> None:
    with database.writing() as tx:
        start(tx, None, "run", 0)
        assert known_dags(tx) == []
        start(tx, "b", "run", 0)
        start(tx, "a", "run", 0)
        start(tx, "a", "another", 0)

        assert known_dags(tx) == ["a", "b"]
        assert list_batches(tx, [], WantedBatches(), 5).batches == ()


@pytest.mark.parametrize(
    "wanted", [WantedBatches(), WantedBatches(run_id="run-7", task_id="submit")], ids=["newest", "of a run"]
)
def test_it_reads_no_more_than_a_page(database: Database, wanted: WantedBatches) -> None:
    with database.writing() as tx:
        for number in range(600):
            start(tx, f"dag-{number % 3}", f"run-{number}", number)
    rows.analyze(database)

    with rows.plans(database) as plans, database.reading() as tx:
        list_batches(tx, ["dag-0", "dag-1"], wanted, 20, None)
        known_dags(tx)

    text = "\n".join(plans)
    assert "ix_image_prompts_batches_" in text
    assert "SCAN image_prompts_batches\n" not in text + "\n"
    assert "Seq Scan" not in text
