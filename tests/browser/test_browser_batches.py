"""The list of batches and the page of one, as somebody uses them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.status import Reason
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections
from tests.support import batch_scenes as scenes
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database

RUNNING = "daily/submit/scheduled__2026-11-26T00:00:00%2B00:00"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> AccountSettings:
    """The account that pays, as its connection says."""
    told = connections.midjourney(
        "https://mj.example", "a-key", account="team", price=0.04, currency="USD", max_submissions_per_day=2000
    )
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", told)
    settings = MidjourneyHook().account()
    assert settings.price == Decimal("0.04")
    return replace(settings, max_in_flight=100)


@pytest.fixture
def week(table: Database, account: AccountSettings) -> Database:
    """A week of work of three DAGs: one batch is under way, one failed in part, one is done, and one is hostile."""
    with table.writing() as tx:
        done = scenes.start_batch(tx, "product_photos", "products/2026-11/", 24, account)
        scenes.describe_some(tx, done, 24, account)
    scenes.let_all_be_older(table, timedelta(days=1, hours=2))
    with table.writing() as tx:
        bad = scenes.start_batch(tx, "archive_backfill", "archive/1994/", 40, account, "manual__by hand")
        scenes.describe_some(tx, bad, 31, account)
        scenes.fail_some(tx, bad, [Reason.BANNED] * 6 + [Reason.UNPARSEABLE] * 3, account)
    scenes.let_all_be_older(table, timedelta(hours=3))
    with table.writing() as tx:
        odd = scenes.start_batch(tx, "uploads", f"from strangers/{scenes.HOSTILE}/", 3, account, scenes.HOSTILE)
        scenes.describe_some(tx, odd, 2, account)
        scenes.fail_some(tx, odd, [Reason.REFUSED], account)
    scenes.let_all_be_older(table, timedelta(minutes=40))
    with table.writing() as tx:
        running = scenes.start_batch(tx, "daily", "incoming/2026-11-26/", 120, account)
    scenes.let_all_be_older(table, timedelta(minutes=4))
    with table.writing() as tx:
        scenes.describe_some(tx, running, 57, account)
        scenes.fail_some(tx, running, [Reason.BANNED, Reason.BANNED, Reason.REFUSED], account)
        scenes.send_some(tx, running, 12, account)
    return table


def test_an_empty_list_says_how_to_begin(table: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/batches")

    assert page.get_by_role("heading", name="No batch yet").is_visible()


@pytest.mark.parametrize(("look", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_the_list_and_a_batch_look_well(
    look: str, width: int, week: Database, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/batches", dark=look == "dark", width=width)
    page.get_by_text("57 described").wait_for()
    picture(page, f"batches-{look}-{width}")
    page.get_by_role("link", name="daily › submit").click()
    assert page.get_by_role("heading", name="60 of 120 images have ended (50 %).").is_visible()
    picture(page, f"batch-{look}-{width}", whole=True)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert rows
