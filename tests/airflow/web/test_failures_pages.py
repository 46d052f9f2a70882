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
from tests.support import rows
from tests.support.dag_by_dag import name_of
from tests.support.metadata_tables import table_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

EDITOR = name_of(reads="archive products", edits="archive")
OTHER_EDITOR = name_of(reads="archive products", edits="archive products")
READER = name_of(reads="archive products")


@pytest.fixture
def table(place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A table that the API server reads, on SQLite and on Postgres."""
    with table_on(place, monkeypatch) as database:
        yield database


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


# Describing all of a filter again


@pytest.fixture
def post(api: TestClient, as_user: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """Send the form of a question: ``post(page, EDITOR)``."""

    def answer(page: str, name: str = EDITOR) -> Any:
        (question,) = re.findall(r'name="question" value="([^"]+)"', page)
        (action,) = re.findall(r'action="([^"]+)" method="post"', page)
        return api.post(
            f"/midjourney/{action}",
            data={"question": question},
            headers=as_user(None, name),
            follow_redirects=False,
        )

    return answer


def pending(table: Database) -> list[int]:
    with table.reading() as tx:
        return [row["id"] for row in rows.image_rows(tx) if row["status"] == "pending"]


def test_all_of_a_reason_are_asked_for_with_one_question_and_taken_in_parts(
    table: Database, get: Callable[..., str], post: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_midjourney.web.pages.redescribe_filter.MOST_ASKED", 2)
    wanted = fail(table, "archive", "monday", "abcde")
    fail(table, "products", "monday", "fg")
    (address,) = re.findall(r'href="(again-all[^"]+)"', get("failures?reason=banned"))

    page = get(address)
    assert "Describe 5 images again?" in page
    assert "banned, ended within the last week" in page
    assert "2 of <bdi>products</bdi>, which you may not edit" in page
    assert len(page) < 10_000
    assert pending(table) == []
    answers = [post(page), post(page)]

    assert [answer.status_code for answer in answers] == [303, 303]
    assert answers[0].headers["location"] == answers[1].headers["location"]
    assert pending(table) == wanted
    assert "5 images are to be described again" in get(answers[0].headers["location"])


def test_two_people_who_order_the_same_are_each_told_what_they_have_ordered(
    table: Database, get: Callable[..., str], post: Callable[..., Any]
) -> None:
    wanted = fail(table, "archive", "monday", "ab")
    others = fail(table, "products", "monday", "c")
    one, other = get("again-all?reason=banned"), get("again-all?reason=banned", OTHER_EDITOR)

    first, second = post(one), post(other, OTHER_EDITOR)

    assert "2 images are to be described again" in get(first.headers["location"])
    told = get(second.headers["location"], OTHER_EDITOR)
    assert "1 image is to be described again" in told
    assert "2 more have moved on since the question was put" in told
    assert pending(table) == [*wanted, *others]


def test_an_order_for_all_needs_the_right_to_edit_when_it_is_given(
    table: Database, get: Callable[..., str], post: Callable[..., Any]
) -> None:
    fail(table, "archive", "monday", "ab")

    assert 'name="question"' not in get("again-all?reason=banned", READER)
    page = get("again-all?reason=banned")
    assert post(page, OTHER_EDITOR).status_code == 403
    assert get("again-all", status=422)
    assert pending(table) == []


def test_an_order_is_not_carried_out_on_more_images_than_were_shown(
    table: Database, get: Callable[..., str], post: Callable[..., Any]
) -> None:
    fail(table, "archive", "tuesday", "b")
    first, *_ = fail(table, "archive", "monday", "a")
    with table.writing() as tx:
        rows.set_columns(tx, first - 1, status="submitted", ended_at=None)
    page = get("again-all?reason=banned")
    with table.writing() as tx:
        # It had ended before the question, and was committed after it.
        rows.set_columns(tx, first - 1, status="failed", ended_at=tx.now - timedelta(minutes=1))

    assert post(page).status_code == 409
    assert pending(table) == []
