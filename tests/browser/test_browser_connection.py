"""The form of a ``midjourney`` connection in Airflow's own UI, as a person fills it in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.models import Connection
from airflow.utils.session import create_session
from playwright.sync_api import expect
from sqlalchemy import delete, select

from airflow_midjourney.hooks.connection_extra import ConnectionExtra, read_extra
from tests.support.installed_provider import installed_provider  # noqa: F401

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Locator, Page


pytestmark = pytest.mark.usefixtures("installed_provider")

KEY_SENT, REFUNDS = "How the key is sent", "Refunds failures"


@pytest.fixture(autouse=True)
def _no_connections_left() -> Iterator[None]:
    yield
    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_type == "midjourney"))


def saved_extra(conn_id: str) -> dict[str, Any]:
    """Give the extra that Airflow keeps."""
    with create_session() as session:
        return dict(session.scalars(select(Connection).where(Connection.conn_id == conn_id)).one().extra_dejson)


def chosen(dialog: Locator, label: str) -> str:
    """Give what a field offers as chosen: the words beside its label, above its explanation."""
    words = dialog.inner_text().splitlines()
    return words[words.index(label) + 1]


def save(page: Page, dialog: Locator) -> None:
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_be_hidden()


def test_a_new_connection_shows_what_holds_and_saves_what_the_hook_reads(open_page: Callable[..., Page]) -> None:
    page = open_page("connections")
    page.get_by_role("button", name="Add Connection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Connection ID").fill("mj_new")
    dialog.get_by_role("combobox").fill("midjourney")
    page.keyboard.press("Enter")
    dialog.get_by_label("Service address").fill("https://mj.example")
    dialog.get_by_text("Extra Fields", exact=True).click()
    dialog.get_by_text(KEY_SENT).wait_for()

    assert (chosen(dialog, KEY_SENT), chosen(dialog, REFUNDS)) == ("bearer", "false")
    assert "null" not in dialog.inner_text()
    save(page, dialog)

    assert read_extra(saved_extra("mj_new"), "mj_new") == ConnectionExtra()


def test_a_connection_shows_what_it_says(open_page: Callable[..., Page]) -> None:
    with create_session() as session:
        session.add(Connection("mj_old", conn_type="midjourney", host="https://mj.example", extra='{"auth": "token"}'))
    page = open_page("connections")
    page.get_by_role("button", name="Edit").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("Extra Fields", exact=True).click()
    dialog.get_by_text(KEY_SENT).wait_for()

    assert chosen(dialog, KEY_SENT) == "token"
