"""``python -m benchmarks.export``: what exporting many rows takes in memory and time, and whether either grows.

Fills a table with generated rows (SQLite, or a Postgres server of its own with ``--postgres``), and exports all of them
in each format, each in a process of its own. Prints rows, seconds, rows a second, microseconds a row in the first and
in the last tenth, and the most memory that the process held.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.exports.export import ExportPlan, export
from airflow_midjourney.describe.exports.format import format_names, load_format
from airflow_midjourney.describe.exports.publication import publishing
from airflow_midjourney.describe.exports.report import ExportReport
from airflow_midjourney.describe.exports.selection import Choice
from airflow_midjourney.describe.exports.targets.folder import FolderTarget
from airflow_midjourney.describe.model.batch import Scope
from airflow_midjourney.describe.queries.rows import Wanted
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from benchmarks.memory import peak_megabytes
from tests.support.postgres import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_midjourney.describe.table.database import Database

#: What one row of the table looks like; the prompts are as long as those of the service are.
_ROWS: Final = """
    INSERT INTO image_prompts (
        image_uri, bucket, key, image_version, etag, is_current, bot_type, status, attempts, max_attempts,
        content_sha256, media_type, width, height, size_bytes, prompt_1, prompt_2, prompt_3, prompt_4, prompt_count,
        prompt_raw, aspect_ratio, parser_version, reservations, silence_before, silence_before_missing, ended_at,
        created_at, updated_at
    )
    SELECT 's3://photos/in/' || n || '.jpg', 'photos', 'in/' || n || '.jpg', 'etag' || n, 'etag' || n, {true},
        'MID_JOURNEY', 'succeeded', 1, 2, 'sha' || n, 'image/jpeg', 1024, 768, 123456,
        {prompt}, {prompt}, {prompt}, {prompt}, 4, {prompt} || {prompt} || {prompt} || {prompt},
        '4:3', 1, 0, 0, 0, {moment}, {moment}, {moment}
    FROM ({numbers}) AS numbers
"""
_NUMBERS: Final = (
    "WITH RECURSIVE up(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM up WHERE n < {last}) SELECT n FROM up"
)
_PROMPT: Final = "n || ' {text}'"
_TEXT: Final = "a red boat on a still lake at dawn, mist over the water, soft light, in the style of an old print " * 3

_AT_ONCE: Final = 100_000


def fill(database: Database, first: int, last: int) -> None:
    """Put generated rows into the table, so many at a time."""
    for start in range(first, last + 1, _AT_ONCE):
        with database.writing() as tx:
            statement = _ROWS.format(
                prompt=_PROMPT.format(text=_TEXT),
                numbers=_NUMBERS.format(first=start, last=min(start + _AT_ONCE - 1, last)),
                true="true" if tx.is_postgres else "1",
                moment="timestamptz '2026-03-01'" if tx.is_postgres else "'2026-03-01 00:00:00.000000'",
            )
            tx.connection.exec_driver_sql(statement)


def export_once(url: str, kind: str, target: str) -> dict[str, object]:
    """Export all rows of the bucket, in this process, and say what it took."""
    database = open_database(url)
    report, marks = ExportReport(), [(0, time.monotonic())]
    plan = ExportPlan(wanted=Wanted(Scope("photos", ("in/",))), format=load_format(kind), choice=Choice())

    def note(_line: str) -> None:
        marks.append((report.rows, time.monotonic()))

    began = time.monotonic()
    with publishing(FolderTarget(target), "benchmark", 1, report.to_json) as publication:
        export(plan, database, publication, None, report, note)
    seconds = time.monotonic() - began
    database.close()
    steps = [1e6 * (after[1] - before[1]) / (after[0] - before[0]) for before, after in pairwise(marks)]
    return {
        "rows": report.exported,
        "seconds": seconds,
        "first": steps[0] if steps else 0.0,
        "last": steps[-1] if steps else 0.0,
        "megabytes": peak_megabytes(),
    }


def in_a_process(url: str, kind: str, target: Path) -> dict[str, float]:
    """Export in a fresh process: the most memory that it held is its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.export", "--one", url, "--format", kind, "--target", str(target)],
        check=True,
        capture_output=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def _database_url(folder: Path, *, postgres: bool) -> Iterator[str]:
    if not postgres:
        yield f"sqlite:///{folder}/prompts.db"
        return
    (folder / "postgres").mkdir()
    with running_postgres(folder / "postgres") as url:
        yield url


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.export", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--format", action="append", choices=format_names(), help="only this one")
    parser.add_argument("--postgres", action="store_true", help="a Postgres server instead of SQLite")
    parser.add_argument("--folder", type=Path, help="where to work; needs some gigabytes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--target", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.one:
        sys.stdout.write(json.dumps(export_once(given.one, given.format[0], given.target)) + "\n")
        return
    with (
        tempfile.TemporaryDirectory(dir=given.folder) as name,
        _database_url(Path(name), postgres=given.postgres) as url,
    ):
        database = open_database(url)
        ensure_tables(database)
        fill(database, 1, given.rows)
        database.close()
        sys.stdout.write(HEADER)
        for kind in given.format or format_names():
            figures = in_a_process(url, kind, Path(name) / kind)
            sys.stdout.write(_line(kind, figures))
            sys.stdout.flush()


HEADER: Final = (
    "| Format | Rows | Seconds | Rows a second | µs a row, first 100,000 | µs a row, last 100,000 | Most memory |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


def _line(kind: str, figures: dict[str, float]) -> str:
    return (
        f"| {kind} | {figures['rows']:,.0f} | {figures['seconds']:.0f} | {figures['rows'] / figures['seconds']:,.0f} |"
        f" {figures['first']:.0f} | {figures['last']:.0f} | {figures['megabytes']:.0f} MB |\n"
    )


if __name__ == "__main__":
    main()
