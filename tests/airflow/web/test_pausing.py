"""The button and the routes that pause and resume an account: who may, what they do, and what pages and logs say."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.table.accounts import AccountState, read_account
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.dag_by_dag import name_of
from tests.support.metadata_tables import table_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace

CONNECTION = "midjourney_default"


@pytest.fixture
def table(place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    with table_on(place, monkeypatch) as database:
        yield database


@pytest.fixture
def batch_id(table: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """A batch with one image pending, over an account that was never used."""
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("https://mj.example", "a-key"))
    with table.writing() as tx:
        batch = rows.open_batch(tx)
        rows.list_images(tx, [rows.listed("a.jpg")], batch=batch)
        tx.connection.execute(tx.tables.accounts.delete())
    return batch.batch_id


@pytest.fixture
def look(api: TestClient, as_user: Callable[..., dict[str, str]], batch_id: str) -> Callable[..., str]:
    """Read the page of the batch."""

    def answer(role: str = "admin", **more: str) -> str:
        found = api.get("/midjourney/batch", params={"id": batch_id, **more}, headers=as_user(role))
        assert found.status_code == 200, found.text
        return html.unescape(found.text)

    return answer


@pytest.fixture
def press(api: TestClient, as_user: Callable[..., dict[str, str]]) -> Callable[..., Any]:
    """Press the button of a page: ``press(page, "anna")``."""

    def answer(page: str, name: str = "anna", role: str = "admin", **changed: str) -> Any:
        form = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)) | changed
        headers = as_user(role, name)
        return api.post("/midjourney/account", data=form, headers=headers, follow_redirects=False)

    return answer


def state(table: Database) -> AccountState:
    with table.reading() as tx:
        return read_account(tx, MidjourneyHook(CONNECTION).account().identity)


def test_the_button_pauses_and_resumes_and_the_page_says_who(
    table: Database,
    batch_id: str,
    look: Callable[..., str],
    press: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    paused = press(look())

    assert (paused.status_code, paused.headers["location"]) == (303, f"batch?id={batch_id.replace('/', '%2F')}")
    assert (state(table).paused, state(table).paused_by) == (True, "anna")
    page = look()
    assert "The account is paused by anna since" in page
    assert ">Resume</button>" in page

    press(page, "bob")

    assert (state(table).paused, state(table).resumed_by) == (False, "bob")
    assert "Resumed by bob at" in look()
    assert ">Pause</button>" in look()
    assert [line for line in caplog.messages if "the account of connection" in line] == [
        f"anna has paused the account of connection '{CONNECTION}'.",
        f"bob has resumed the account of connection '{CONNECTION}'.",
    ]


def test_a_stale_page_does_not_resume_what_another_person_has_paused_since(
    table: Database, look: Callable[..., str], press: Callable[..., Any]
) -> None:
    press(look())
    stale = look()
    press(stale, "bob")
    press(look(), "carl")

    late = press(stale, "bob")

    assert late.headers["location"].endswith("&moved_on=1")
    assert (state(table).paused, state(table).paused_by) == (True, "carl")
    assert "Nothing was changed" in look(moved_on="1")


@pytest.mark.parametrize("role", ["viewer", "user"])
def test_who_may_not_edit_connections_has_no_button_and_is_refused(
    role: str, table: Database, api: TestClient, look: Callable[..., str], press: Callable[..., Any]
) -> None:
    page = look()

    assert "</button>" not in look(role)
    assert press(page, role=role).status_code == 403
    with table.reading() as tx:
        assert tx.connection.execute(tx.tables.accounts.select()).all() == []


def test_another_site_cannot_press_the_button(
    table: Database, api: TestClient, batch_id: str, as_user: Callable[..., dict[str, str]]
) -> None:
    form = {"batch_id": batch_id, "order": "pause"}
    sent = as_user("admin") | {"sec-fetch-site": "cross-site"}

    assert api.post("/midjourney/account", data=form, headers=sent, follow_redirects=False).status_code == 403
    with table.reading() as tx:
        assert tx.connection.execute(tx.tables.accounts.select()).all() == []


def test_a_program_pauses_looks_and_resumes(
    table: Database, batch_id: str, api: TestClient, as_user: Callable[..., dict[str, str]]
) -> None:
    def ask(method: str, path: str, name: str = "robot", role: str = "op", **more: Any) -> Any:
        return api.request(method, f"/midjourney/api/account{path}", headers=as_user(role, name), **more)

    named = {"connection": CONNECTION}
    before = ask("GET", "", params=named).json()
    paused = ask("POST", "/pause", json=named).json()
    twice = ask("POST", "/pause", "anna", json=named).json()
    resumed = ask("POST", "/resume", "bob", json=named | {"paused_at": paused["paused_at"]}).json()
    again = ask("POST", "/pause", "carl", json=named).json()
    stale = ask("POST", "/resume", "bob", json=named | {"paused_at": paused["paused_at"]}).json()
    at_any_rate = ask("POST", "/resume", "bob", json=named).json()

    assert (before["paused"], before["paused_by"], before["in_flight"]) == (False, None, 0)
    assert (paused["changed"], paused["paused"], paused["paused_by"]) == (True, True, "robot")
    assert (twice["changed"], twice["paused_by"]) == (False, "robot")
    assert (resumed["changed"], resumed["paused"], resumed["resumed_by"]) == (True, False, "bob")
    assert (again["changed"], stale["changed"], stale["paused_by"]) == (True, False, "carl")
    assert (at_any_rate["changed"], at_any_rate["paused"]) == (True, False)
    assert ask("POST", "/pause", role="user", json=named).status_code == 403
    assert ask("GET", "", role="viewer", params=named).status_code == 403
    assert ask("POST", "/pause", json={"connection": "gone"}).status_code == 503
    assert not state(table).paused


def test_a_reader_of_another_dag_gets_nothing(
    batch_id: str, look: Callable[..., str], press: Callable[..., Any]
) -> None:
    page = look()

    assert press(page, name_of(reads="mine", edits="mine"), role="").status_code == 403
