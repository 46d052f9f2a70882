"""``airflow_midjourney.read_prompts``, where there is no Airflow."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import airflow_midjourney
from airflow_midjourney.describe.model.errors import DescribeError, TableError
from tests.support.airflow_home import REPOSITORY
from tests.support.described import PROMPTS, described, failed, fill

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace


def test_rows_and_columns_of_a_database(database: Database, place: MetadataPlace) -> None:
    fill(database, [described("in/a.jpg"), failed("in/b.jpg"), described("other/c.jpg")])
    where = {"schema": place.names.schema, "bucket": "photos"}

    rows = list(airflow_midjourney.read_prompts(place.url, **where))
    some = airflow_midjourney.read_prompts_as_arrow(place.url, prefix="in/", status="all", **where)

    assert [(row.key, row.prompts) for row in rows] == [("in/a.jpg", PROMPTS), ("other/c.jpg", PROMPTS)]
    assert some.column("object_key").to_pylist() == ["in/a.jpg", "in/b.jpg"]
    assert some.column("prompts").to_pylist() == [list(PROMPTS), []]
    assert some.column("status").to_pylist() == ["success", "failed_to_describe"]


def test_nothing_is_made_where_there_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such table"):
        list(airflow_midjourney.read_prompts(f"sqlite:///{tmp_path}/none.db", bucket="photos"))


def test_arguments_that_make_no_sense_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(DescribeError, match="status must be all"):
        airflow_midjourney.read_prompts(f"sqlite:///{tmp_path}/none.db", bucket="photos", status="done")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = airflow_midjourney.nothing


def test_it_needs_no_airflow_with_a_url(sqlite_place: MetadataPlace) -> None:
    from airflow_midjourney.describe.table.database import open_database
    from airflow_midjourney.describe.table.migrations import ensure_tables

    database = open_database(sqlite_place.url)
    ensure_tables(database)
    fill(database, [described("in/a.jpg")])
    database.close()
    code = (
        "import sys; sys.modules['airflow'] = None\nfrom airflow_midjourney import read_prompts\n"
        f"print([row.key for row in read_prompts({sqlite_place.url!r}, bucket='photos')])"
    )

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={"PATH": "", "PYTHONPATH": str(REPOSITORY / "plugins")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "['in/a.jpg']\n", done.stderr
