"""The list of batches and the page of one, as a person uses them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import results
from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from tests.support import airflow_connections as connections
from tests.support import batch_scenes as scenes
from tests.support import rows
from tests.support.browser import served

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi import FastAPI
    from playwright.sync_api import Page

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database

RUNNING_ID = "daily/submit/scheduled__2026-11-26T00:00:00+00:00"
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
    scenes.let_all_be_older(table, timedelta(minutes=11))
    with table.writing() as tx:
        scenes.describe_some(tx, done, 24, account)
    scenes.let_all_be_older(table, timedelta(hours=21))
    with table.writing() as tx:
        bad = scenes.start_batch(tx, "archive_backfill", "archive/1994/", 40, account, "manual__by hand")
    scenes.let_all_be_older(table, timedelta(minutes=48))
    with table.writing() as tx:
        scenes.describe_some(tx, bad, 31, account)
        scenes.fail_some(tx, bad, [Reason.BANNED] * 6 + [Reason.UNPARSEABLE] * 3, account)
    scenes.let_all_be_older(table, timedelta(hours=3))
    with table.writing() as tx:
        odd = scenes.start_batch(tx, "uploads", f"from strangers/{scenes.HOSTILE}/", 3, account, scenes.HOSTILE)
    scenes.let_all_be_older(table, timedelta(seconds=50))
    with table.writing() as tx:
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

    assert page.get_by_role("heading", level=2).inner_text() == "No batch yet"
    assert page.locator(".row").count() == 0


LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_the_list_and_a_batch_look_well(
    look: str, width: int, week: Database, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/batches", dark=look == "dark", width=width)
    for told in ("57 described", "2 described", "31 described", "24 described")[: 4 if width > 1000 else 3]:
        page.get_by_text(told, exact=True).wait_for()
    assert fits(page)
    picture(page, f"batches-{look}-{width}")

    page.get_by_role("link", name="daily › submit").click()

    page.get_by_role("heading", name="60 of 120 images have ended (50 %).").wait_for()
    assert fits(page)
    picture(page, f"batch-{look}-{width}", whole=True)


def fits(page: Page) -> bool:
    """Say whether a page needs no scrolling to its side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


def test_in_airflows_own_frame_and_menu(
    week: Database, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("", dark=True)
    page.get_by_role("link", name="Midjourney").click()

    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="daily › submit").click()

    frame.get_by_role("heading", name="60 of 120 images have ended (50 %).").wait_for()
    assert "/plugin/midjourney" in page.url
    picture(page, "in-airflow")


def test_airflows_own_switch_of_light_and_dark_is_followed(week: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/batches", dark=False)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)

    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()

    assert page.evaluate(ground) != light


def test_numbers_change_without_reloading(
    week: Database, account: AccountSettings, open_page: Callable[..., Page]
) -> None:
    page = open_page(f"midjourney/batch?id={RUNNING}")
    page.evaluate("window.sameDocument = true")
    assert page.locator("[data-badge]").inner_text() == "In progress"

    with week.writing() as tx:
        batch = read_batch(tx, RUNNING_ID)
        for number in range(12):
            rows.described(
                tx,
                next(row for row in results.in_flight(tx, account.identity)),
                rows.four_prompts(),
                f"answer {number}",
                results.RemoteTimes(),
            )
        scenes.describe_some(tx, batch, 48, account)

    page.get_by_role("heading", name="120 of 120 images have ended (100 %).").wait_for()
    assert page.locator("[data-badge]").inner_text() == "Done, 3 not described"
    expect(page.locator("[data-part=succeeded]")).to_have_text("117 described")
    assert page.locator("[data-part=pending]").is_hidden()
    assert page.locator("[data-bar]").get_attribute("aria-label") == "120 of 120 images have ended (100 %)."
    assert page.evaluate("window.sameDocument")


def test_a_pause_of_the_service_is_said(week: Database, open_page: Callable[..., Page]) -> None:
    with week.writing() as tx:
        rows.set_account(
            tx, blocked_until=tx.now + timedelta(minutes=3), blocked_at=tx.now, blocked_reason="queue <full>"
        )

    page = open_page(f"midjourney/batch?id={RUNNING}")

    assert page.locator("[data-badge]").inner_text() == "Cooling down"
    assert "The reason: queue <full>." in page.locator("[data-show=hindrance]").inner_text()
    assert page.locator("[data-show=account]").inner_text().startswith("Cooling down until ")


def test_a_server_in_trouble_is_said_and_asked_again(
    week: Database, open_page: Callable[..., Page], complaints: list[str]
) -> None:
    page = open_page(f"midjourney/batch?id={RUNNING}")

    page.route("**/api/batch*", lambda route: route.abort())
    page.get_by_text("Airflow cannot be reached. Trying again in 6 seconds.").wait_for()
    page.unroute("**/api/batch*")

    page.get_by_text("Airflow cannot be reached.").wait_for(state="hidden")
    # It has asked again by itself if this took longer than those seconds.
    assert set(complaints) == {"console: Failed to load resource: net::ERR_FAILED"}
    complaints.clear()


def test_it_works_by_keyboard_alone(week: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/batches")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith("daily")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")

    page.get_by_role("heading", name="60 of 120 images have ended (50 %).").wait_for()
    assert page.url.endswith("midjourney/batch?id=daily%2Fsubmit%2Fscheduled__2026-11-26T00%3A00%3A00%2B00%3A00")


def test_a_dag_is_chosen_and_let_go(week: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/batches")

    page.get_by_label("DAG").select_option("uploads")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".row")).to_have_count(1)
    page.locator(".row a").click()
    page.get_by_role("link", name="all batches of this run").click()

    expect(page.locator(".row")).to_have_count(1)
    assert "alert(1)" in page.locator(".chip").inner_text()
    page.get_by_role("link", name="Without this run").click()
    expect(page.locator(".chip")).to_have_count(0)


def test_older_batches_are_a_page_further(
    table: Database, account: AccountSettings, open_page: Callable[..., Page]
) -> None:
    with table.writing() as tx:
        for number in range(23):
            scenes.start_batch(tx, "daily", f"{number}/", 1, account, f"run-{number:02}")

    page = open_page("midjourney/batches")
    expect(page.locator(".row")).to_have_count(20)
    page.get_by_role("link", name="Older").click()

    expect(page.locator(".row")).to_have_count(3)
    assert page.get_by_role("link", name="Older").count() == 0
    page.get_by_role("link", name="Newest").click()
    expect(page.locator(".row")).to_have_count(20)


def test_below_a_base_path(
    week: Database, airflow_app: FastAPI, log_in: Callable[..., str], open_page: Callable[..., Page]
) -> None:
    below = Starlette(routes=[Mount("/some/base", airflow_app)])
    with served(below) as url:
        page = open_page("midjourney/batches")
        page.context.add_cookies([{"name": "_token", "value": log_in("viewer"), "url": url}])

        # What a page that is left was just asking for is no news.
        page.wait_for_load_state("networkidle")
        page.goto(f"{url}some/base/midjourney/")
        page.get_by_text("57 described").wait_for()
        page.get_by_role("link", name="daily › submit").click()

        page.get_by_role("heading", name="60 of 120 images have ended (50 %).").wait_for()
        assert page.url.startswith(f"{url}some/base/midjourney/batch?id=")
        assert page.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius") != "0px"
        page.wait_for_load_state("networkidle")
        page.goto("about:blank")
