"""Failures as the API server answers: by DAG, run, reason and time, on both databases."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import batches, results
from airflow_midjourney.describe.table.database import open_database
from airflow_midjourney.describe.table.migrations import ensure_tables
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.dag_by_dag import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

EDITOR = name_of(reads="archive products", edits="archive")


@pytest.fixture
def table(place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A table that the API server reads, on SQLite and on Postgres."""
    monkeypatch.setenv("AIRFLOW_CONN_IMAGE_PROMPTS_DB", connections.metadata(place))
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__SCHEMA", place.names.schema or "")
    database = open_database(place.url, place.names)
    ensure_tables(database)
    yield database
    database.close()


@pytest.fixture
def get(api: TestClient, as_user: Callable[..., dict[str, str]]) -> Callable[..., str]:
    """Read a page as a user who may edit one of two DAGs."""

    def answer(address: str, name: str = EDITOR, status: int = 200) -> str:
        found = api.get(f"/midjourney/{address}", headers=as_user(None, name))
        assert found.status_code == status, found.text
        return html.unescape(found.text)

    return answer


def fail(
    database: Database, dag_id: str, run_id: str, names: str, reason: Reason = Reason.BANNED, days_ago: int = 0
) -> list[int]:
    """Let images of a run fail; each has a letter for its name."""
    with database.writing() as tx:
        rows.open_batch(tx)
        scope = Scope(rows.BUCKET, (f"{dag_id}/{run_id}/",))
        batch = batches.open_batch(tx, scope, BatchOptions(), Origin(dag_id, run_id, "submit"))
        rows.list_images(tx, [rows.listed(f"{dag_id}/{run_id}/{name}.jpg") for name in names], batch=batch)
        failed = []
        for name in names:
            sent = rows.submit_next(tx, batch, task_id=f"{dag_id}{run_id}{name}")
            rows.set_columns(tx, sent.id, max_attempts=1)
            results.ended(tx, sent, reason, "No.", results.RemoteTimes(), "")
            rows.set_columns(tx, sent.id, ended_at=tx.now - timedelta(days=days_ago, minutes=1))
            failed.append(sent.id)
    return failed


def keys_on(page: str) -> set[str]:
    """Give the keys of the images that a page shows."""
    return set(re.findall(r'href="image\?id=\d+"><bdi>([^<]+)', page))


@pytest.fixture
def failures(table: Database) -> None:
    """Failures of two DAGs, of three runs, for two reasons; one run was a month ago."""
    fail(table, "archive", "monday", "ab")
    fail(table, "archive", "tuesday", "c", Reason.TIMEOUT)
    fail(table, "archive", "long ago", "d", days_ago=9)
    fail(table, "products", "monday", "e")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("reason=banned", {"archive/monday/a.jpg", "archive/monday/b.jpg", "products/monday/e.jpg"}),
        ("reason=banned&dag_id=products", {"products/monday/e.jpg"}),
        ("reason=banned&run_id=long+ago", set()),
        ("reason=banned&run_id=long+ago&within=any", {"archive/long ago/d.jpg"}),
        ("reason=banned&dag_id=archive&within=month", {f"archive/{key}.jpg" for key in ("monday/a", "monday/b")}
            | {"archive/long ago/d.jpg"}),
        ("reason=timeout&within=hour", {"archive/tuesday/c.jpg"}),
    ],
)  # fmt: skip
def test_the_images_of_a_reason_are_those_of_the_filter(
    query: str, found: set[str], failures: None, get: Callable[..., str]
) -> None:
    assert keys_on(get(f"failures?{query}")) == found


def test_reasons_are_counted_for_the_last_week_unless_another_time_is_chosen(
    failures: None, get: Callable[..., str]
) -> None:
    def counted(query: str) -> dict[str, str]:
        cards = re.findall(
            r'<h2><a href="failures([^"]*)">([^<]+)</a>\s*<span class="number">([^<]+)', get(f"failures?{query}")
        )
        assert all("within=" in address for address, _, _ in cards)
        return {name: number for _, name, number in cards}

    assert counted("") == {"banned": "3", "timeout": "1"}
    assert counted("within=any") == {"banned": "4", "timeout": "1"}
    assert counted("run_id=tuesday") == {"timeout": "1"}
    assert counted("dag_id=products") == {"banned": "1"}
    assert 'value="week" selected' in get("failures")


def test_an_empty_time_leads_to_all_times_and_a_wrong_one_is_refused(failures: None, get: Callable[..., Any]) -> None:
    page = get("failures?run_id=long+ago")

    assert "Show those of any time" in page
    (address,) = re.findall(r'href="(failures\?[^"]+)">Show those', page)
    assert "1</span>" in get(address)
    get("failures?within=century", status=422)
    get("failures?reason=boredom", status=422)
