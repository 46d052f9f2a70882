"""The page of a batch says until when its submissions wait by the hours of the connection."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.table.accounts import ensure_account
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.hours import closed_hours, open_hours
from tests.support.metadata_tables import table_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.testclient import TestClient

    from airflow_midjourney.describe.model.submit_window import SubmitWindow
    from airflow_midjourney.describe.table.database import Database
    from tests.support.places import MetadataPlace


@pytest.fixture
def table(place: MetadataPlace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    with table_on(place, monkeypatch) as database:
        yield database


@pytest.fixture
def page(
    table: Database, api: TestClient, as_user: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Read the page of a batch with one image pending, over a connection with such hours."""

    def look(hours: Callable[..., SubmitWindow]) -> str:
        with table.reading() as tx:
            extra = {"submit_window": str(hours(tx.now))}
        monkeypatch.setenv(
            "AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("https://mj.example", "a-key", **extra)
        )
        with table.writing() as tx:
            ensure_account(tx, MidjourneyHook().account())
            batch = rows.open_batch(tx)
            rows.list_images(tx, [rows.listed("a.jpg")], batch=batch)
        found = api.get("/midjourney/batch", params={"id": batch.batch_id}, headers=as_user("admin"))
        assert found.status_code == 200, found.text
        return html.unescape(found.text)

    return look


def test_outside_the_hours_it_says_when_they_begin(page: Callable[..., str]) -> None:
    shown = page(closed_hours)

    assert "by the extra submit_window of connection midjourney_default. Tasks go on by themselves" in shown
    for told in ("Submissions wait until ", "Waits until ", "Goes on at "):
        assert f"{told}" in shown


def test_within_the_hours_it_says_nothing_of_them(page: Callable[..., str]) -> None:
    shown = page(open_hours)

    assert "wait until" not in shown.lower()
    assert "Ready" in shown
