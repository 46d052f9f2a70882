"""Three in the morning: from the last line of a failed sensor to its images, their cure, and its account."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.links import batch_address, batch_page
from tests.support import airflow_connections as connections
from tests.support import batch_scenes as scenes
from tests.support import rows
from tests.support.example_dags import known_to_airflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from airflow_midjourney.describe.table.database import Database

LOOKS = [("light", 390), ("dark", 390), ("light", 1280), ("dark", 1280), ("light", 1920), ("dark", 1920)]


@pytest.fixture
def failed_batch(table: Database, monkeypatch: pytest.MonkeyPatch) -> str:
    """A batch whose sensor has failed: 60 of 95 images are described, 30 were refused, 3 are banned, 2 wait."""
    told = connections.midjourney("https://mj.example", "a-key", account="team", price=0.04, currency="USD")
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", told)
    monkeypatch.setenv("AIRFLOW__MIDJOURNEY__GALLERY_IMAGES", "False")
    known_to_airflow("night", "submit")
    account = replace(MidjourneyHook().account(), max_in_flight=100)
    with table.writing() as tx:
        batch = scenes.start_batch(tx, "night", "incoming/2026-11-30/", 95, account)
    scenes.let_all_be_older(table, timedelta(minutes=20))
    with table.writing() as tx:
        scenes.describe_some(tx, batch, 60, account)
        scenes.fail_some(tx, batch, [Reason.REFUSED] * 30 + [Reason.BANNED] * 3, account)
    scenes.let_all_be_older(table, timedelta(minutes=1))
    return batch.batch_id


def can_be_read(page: Page) -> bool:
    """Say whether all can read a page, and it needs no scrolling to its side."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_from_the_last_line_of_a_sensor_to_the_images_to_their_cure(
    look: str,
    width: int,
    failed_batch: str,
    table: Database,
    server_url: str,
    open_page: Callable[..., Page],
    picture: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", server_url)
    page = open_page(batch_page(failed_batch), dark=look == "dark", width=width)
    expect(page.get_by_role("link", name="30 images: refused")).to_be_visible()
    assert can_be_read(page)
    page.get_by_role("link", name="refused", exact=True).click()

    page.get_by_role("heading", name="Refused 30").wait_for()
    expect(page.get_by_role("checkbox", name="Select incoming")).to_have_count(30)
    expect(page.get_by_label("Ended within")).to_have_value("any")
    picture(page, f"night-reason-{look}-{width}")
    assert can_be_read(page)
    page.get_by_role("link", name="Describe all 30 again").click()

    page.get_by_role("heading", name="Describe 30 images again?").wait_for()
    expect(page.get_by_text("1.20 USD", exact=True)).to_be_visible()
    expect(page.get_by_text("refused, batch night/submit/")).to_be_visible()
    picture(page, f"night-question-{look}-{width}")
    assert can_be_read(page)
    page.get_by_role("button", name="Describe them again").dblclick()

    page.get_by_role("heading", name="30 images are to be described again").wait_for()
    picture(page, f"night-asked-{look}-{width}")
    assert can_be_read(page)
    page.get_by_role("link", name="Failures", exact=True).first.click()
    expect(page.get_by_role("link", name="Describe all 3 again")).to_be_visible()
    expect(page.get_by_role("link", name="refused", exact=True)).to_have_count(0)
    picture(page, f"night-failures-{look}-{width}")
    assert can_be_read(page)
    with table.reading() as tx:
        assert sum(row["redescribed_by"] is not None for row in rows.image_rows(tx)) == 30


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_an_account_is_paused_and_resumed_on_the_page_of_a_batch(
    look: str, width: int, failed_batch: str, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page(f"midjourney/{batch_address(failed_batch)}", dark=look == "dark", width=width, name="anna")
    page.get_by_role("button", name="Pause").click()

    expect(page.get_by_text("The account is paused by anna since")).to_be_visible()
    picture(page, f"night-paused-{look}-{width}", whole=True)
    assert can_be_read(page)
    page.get_by_role("button", name="Resume").click()

    expect(page.get_by_text("Resumed by anna at")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    picture(page, f"night-resumed-{look}-{width}", whole=True)
    assert can_be_read(page)


def test_an_open_page_follows_what_another_person_does_to_the_account(
    failed_batch: str, open_page: Callable[..., Page]
) -> None:
    annas = open_page(f"midjourney/{batch_address(failed_batch)}", name="anna")
    bobs = open_page(f"midjourney/{batch_address(failed_batch)}", name="bob")

    bobs.get_by_role("button", name="Pause").click()
    expect(annas.get_by_text("The account is paused by bob since")).to_be_visible()
    annas.get_by_role("button", name="Resume").click()

    expect(annas.get_by_text("Resumed by anna at")).to_be_visible()
    expect(bobs.get_by_text("Resumed by anna at")).to_be_visible()
