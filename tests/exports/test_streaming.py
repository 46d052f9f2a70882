"""Reading many rows: in order, each once, in constant memory."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.queries.rows import Wanted, read_rows
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from benchmarks import export as benchmark
from tests.support import rows as support
from tests.support.airflow_home import REPOSITORY
from tests.support.described import BUCKET, described, fill

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database

EVERYTHING = Scope(BUCKET, ("",))


@pytest.mark.parametrize("page", [1, 2, 3, 100])
def test_every_row_comes_once_and_in_the_order_of_the_keys(page: int, database: Database) -> None:
    keys = ["b", "a/1", "a", "a b", "Z", "ü", "🚤", "a-b", "a/", "￿", "ab"]
    fill(database, [described(key) for key in keys])
    fill(database, [described("b", body="older", is_current=False)])

    everything = list(read_rows(database, Wanted(EVERYTHING, current_only=False), page))
    current = list(read_rows(database, Wanted(EVERYTHING), page))
    some = list(read_rows(database, Wanted(Scope(BUCKET, ("a", "b"))), page))
    named = list(read_rows(database, Wanted(Scope(BUCKET, keys=("a", "none", "🚤"))), page))

    assert [row.key for row in current] == sorted(keys, key=str.encode)
    assert [row.key for row in everything] == sorted([*keys, "b"], key=str.encode)
    assert [row.key for row in some] == ["a", "a b", "a-b", "a/", "a/1", "ab", "b"]
    assert [row.key for row in named] == ["a", "🚤"]
    assert current[0].ended_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_what_changes_meanwhile_is_read_once_or_not_at_all(database: Database) -> None:
    fill(database, [described(f"in/{number}.jpg") for number in range(6)])
    rows = read_rows(database, Wanted(EVERYTHING), 2)
    first = [next(rows), next(rows)]
    with database.writing() as tx:
        images = tx.tables.images
        tx.connection.execute(update(images).where(images.c.key == first[-1].key).values(is_current=False))
    fill(database, [described(first[-1].key, body="new version"), described("in/9.jpg")])

    keys = [row.key for row in (*first, *rows)]

    assert keys == [f"in/{number}.jpg" for number in range(6)]


def test_a_page_is_a_walk_along_the_index_of_the_keys(database: Database) -> None:
    with database.writing() as tx:
        support.fill_with_finished_rows(tx, 3000)
    support.analyze(database)
    with support.plans(database) as plans:
        rows = list(read_rows(database, Wanted(Scope(BUCKET, ("old/2",))), 500))
    pages = [plan for plan in plans if "ix_image_prompts_scope" in plan]
    assert len(rows) == 1111
    assert len(pages) == 3
    assert [plan for plan in pages if "TEMP B-TREE" in plan and "LAST TERM" not in plan] == []


@pytest.mark.parametrize("kind", ["csv", "jsonl", "labelstudio", "parquet", "webdataset"])
def test_memory_does_not_grow_with_the_rows(kind: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/prompts.db"
    database = open_database(url)
    ensure_tables(database)
    held = []
    for first, last in ((1, 10_000), (10_001, 25_000)):
        benchmark.fill(database, first, last)
        figures = _in_a_process(url, kind, tmp_path / f"out-{last}")
        assert figures["rows"] == last
        held.append(figures["megabytes"])
    database.close()

    assert held[1] < held[0] + 40, f"{held} MB for 10,000 and 25,000 rows"
    # Parquet, which holds a group of rows, takes 236 MB, the others 90; an allocator may well take a quarter more.
    assert held[1] < 350


def _in_a_process(url: str, kind: str, target: Path) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.export", "--one", url, "--format", kind]
    done = subprocess.run(
        [*command, "--target", str(target)],
        cwd=REPOSITORY,
        env={"PATH": "", "PYTHONPATH": f"{REPOSITORY / 'plugins'}:{REPOSITORY}"},
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))
