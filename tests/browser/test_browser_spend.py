"""Spend as a person reads it: pictures and tables, light and dark, on a phone and on a wide screen."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe

from airflow_midjourney.describe.model.status import BotType
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections
from tests.support import batch_scenes as scenes
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from airflow_midjourney.describe.table.database import Database, Transaction

LOOKS = [("light", 390), ("dark", 390), ("light", 1280), ("dark", 1280), ("light", 1920), ("dark", 1920)]

#: The fixtures send a month in a moment.
WITHOUT_CAPS = {"max_cost_per_day": None, "max_submissions_per_day": None}


@pytest.fixture
def month(table: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A month of two DAGs on an account with a price and caps, where some failures were given back, and one without."""
    told = connections.midjourney(
        "https://mj.example",
        "a-key",
        account="team",
        price=0.04,
        currency="USD",
        max_cost_per_day=0.8,
        max_submissions_per_day=200,
    )
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", told)
    account = replace(MidjourneyHook().account(), max_in_flight=2000, **WITHOUT_CAPS)
    unpriced = replace(account, identity="https://relay.example:443/lab", price=None, currency=None)
    with table.writing() as tx:
        daily = scenes.start_batch(tx, "daily", "incoming/", 200, account)
        scenes.describe_some(tx, daily, 200, account)
        archive = scenes.start_batch(tx, "archive_backfill", "archive/", 60, account)
        scenes.describe_some(tx, archive, 60, account)
        lab = scenes.start_batch(tx, "lab", "lab/", 40, unpriced)
        scenes.describe_some(tx, lab, 40, unpriced)
        spread_over_a_month(tx)
    return table


def spread_over_a_month(tx: Transaction) -> None:
    """Let what was sent just now have been sent over a month, and some of it have failed for free."""
    chance = random.Random(7)
    bill = tx.tables.submissions
    for entry in rows.bill(tx):
        day = chance.choice([1, 2, 3, 5, 6, 6, 7, 8, 9, 9, 9, 12, 13, 14, 15, 16, 19, 20, 21, 21, 22, 23, 26, 27, 28])
        claimed = tx.now - timedelta(days=day, seconds=chance.randrange(3600))
        settled = claimed + timedelta(seconds=chance.gauss(55, 15) + (240 if chance.random() < 0.08 else 0))
        times = {"claimed_at": claimed, "answered_at": claimed, "settled_at": settled}
        if chance.random() < 0.06:
            times |= {"outcome": "refunded", "result": "failed", "reason": "service_error"}
        elif chance.random() < 0.2:
            times |= {"bot_type": BotType.NIJI_JOURNEY}
        tx.connection.execute(bill.update().where(bill.c.id == entry["id"]).values(**times))


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_spend_looks_well_and_can_be_read_by_all(
    look: str, width: int, month: Database, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/batches", dark=look == "dark", width=width)
    page.get_by_role("link", name="Spend", exact=True).click()

    page.get_by_role("heading", name="https://mj.example:443#team").wait_for()
    assert page.get_by_role("img", name="Cost a day").count() == 1
    assert fits(page)
    picture(page, f"spend-{look}-{width}")
    picture(page, f"spend-whole-{look}-{width}", whole=True)
    page.locator("summary").first.click()
    assert fits(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def fits(page: Page) -> bool:
    """Say whether a page needs no scrolling to its side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_a_picture_and_its_table_say_the_same(month: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/spend?days=30&dag_id=daily")

    card = page.locator("section.card").first
    assert card.get_by_role("img").count() == 4
    cap = card.get_by_text("The line is today's cap of 0.80 USD a day for all DAGs")
    assert cap.count() == 1
    sums = card.get_by_role("region", name="By DAG and bot")
    costs = sums.locator("tbody tr td:nth-child(4)").all_inner_texts()
    whole = card.locator("p").first.inner_text()
    assert sum(Decimal(cost.split()[0]) for cost in costs) == Decimal(whole.split()[0])


def test_a_period_is_chosen_and_taken_away_without_a_script(month: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/spend", scripts=False)

    page.get_by_label("Period").select_option("7")
    page.locator("select[name=dag_id]").select_option("lab")
    page.get_by_role("button", name="Show").click()

    page.get_by_role("heading", name="https://relay.example:443/lab").wait_for()
    assert page.locator("section.card").count() == 1
    with page.expect_download() as taken:
        page.get_by_role("link", name="Take it away as CSV").click()
    lines = taken.value.path().read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("day_utc,account,dag_id")
    assert all(",lab," in line for line in lines[1:])
    assert len(lines) > 2
