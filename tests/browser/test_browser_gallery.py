"""Gallery, image and failures as a person uses them: looking, searching, copying, and asking again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from airflow_midjourney.web.pages import pictures
from airflow_midjourney.web.pictures import Pictures
from tests.support import airflow_connections as connections
from tests.support import rows
from tests.support.dag_by_dag import name_of
from tests.support.example_dags import known_to_airflow
from tests.support.gallery_scenes import PROMPTS, Scene, set_the_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from playwright.sync_api import Page

    from airflow_midjourney.describe.table.database import Database

LOOKS = [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]


@pytest.fixture
def scene(table: Database, s3: S3Client, s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Photographs with prompts and without, which the API server may read."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws(s3_url))
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("https://mj.example", "a-key"))
    for dag_id in ("archive", "product_photos"):
        known_to_airflow(dag_id, "submit")
    return set_the_scene(table, s3, bucket)


def all_pictures_are_here(page: Page) -> None:
    """Wait until every picture of the page has come, those below the fold too."""
    page.evaluate("for (const image of document.images) { image.loading = 'eager'; }")
    page.wait_for_load_state("networkidle")
    # That is so at once where the page had been idle before.
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    assert page.evaluate("[...document.images].filter((image) => image.complete && image.naturalWidth > 0).length") > 1


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_the_gallery_and_an_image_look_well(
    look: str, width: int, scene: Scene, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/gallery?status=succeeded&dag_id=product_photos", dark=look == "dark", width=width)
    all_pictures_are_here(page)
    picture(page, f"gallery-{look}-{width}")
    assert fits(page)

    page.get_by_role("link", name="products/2026-11/cat.jpg").click()
    all_pictures_are_here(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("products/2026-11/cat.jpg")
    expect(page.get_by_role("cell", name="0.05 USD")).to_be_visible()
    picture(page, f"image-{look}-{width}", whole=True)
    assert fits(page)


@pytest.mark.parametrize(("look", "width"), LOOKS)
def test_failures_and_the_question_look_well(
    look: str, width: int, scene: Scene, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/failures", dark=look == "dark", width=width)
    picture(page, f"failures-{look}-{width}")
    assert fits(page)

    page.get_by_role("link", name="service error").click()
    page.get_by_role("heading", name="Service error").wait_for()
    page.get_by_label("Select all on this page").check() if width > 400 else [
        box.check() for box in page.get_by_role("checkbox").all()
    ]
    all_pictures_are_here(page)
    picture(page, f"reason-{look}-{width}")
    assert fits(page)

    page.get_by_role("button", name="Describe again").click()
    page.get_by_role("heading", name="Describe 3 images again?").wait_for()
    picture(page, f"again-{look}-{width}")
    assert fits(page)


def test_searching_filtering_and_copying(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/gallery")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.keyboard.press("/")
    page.keyboard.type("GINGER")
    page.keyboard.press("Enter")
    page.wait_for_url("**/gallery?text=GINGER&status=succeeded")
    expect(page.locator("h2 a")).to_have_text(["products/2026-11/cat.jpg"])
    page.get_by_role("button", name="Copy prompt 1").click()
    page.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == PROMPTS["cat.jpg"]

    page.get_by_role("link", name="Clear").click()
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/gallery?status=failed")
    expect(page.locator(".card.image")).to_have_count(5)

    page.get_by_text("More filters").click()
    page.get_by_label("Under").fill(f"{scene.bucket}/nowhere/")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No image matches.")).to_be_visible()


def test_leafing_through_and_back(
    scene: Scene, open_page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_midjourney.web.pages.gallery.IMAGES_ON_A_PAGE", 8)
    page = open_page("midjourney/gallery?status=any&dag_id=product_photos")

    keys = page.locator("h2 a")
    expect(keys).to_have_count(8)
    first = keys.all_inner_texts()

    page.get_by_role("link", name="Next").click()
    expect(keys).to_have_count(4)
    assert set(first).isdisjoint(keys.all_inner_texts())
    expect(page.get_by_role("link", name="Next")).to_have_count(0)
    page.get_by_role("link", name="Previous").click()
    expect(keys).to_have_text(first)
    assert len(set(first)) == 8


def test_without_scripts_the_pages_still_work(scene: Scene, table: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/failures?reason=timeout", scripts=False)

    page.get_by_role("checkbox").check()
    page.get_by_role("button", name="Describe again").click()
    page.get_by_role("button", name="Describe it again").click()

    expect(page.get_by_role("heading", name="1 image is to be described again")).to_be_visible()
    with table.reading() as tx:
        assert sum(row["redescribed_by"] is not None for row in rows.image_rows(tx)) == 1


def test_asking_again_and_pressing_twice_is_once(
    scene: Scene, table: Database, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/failures?reason=service_error")
    expect(page.get_by_role("button", name="Describe again")).to_be_disabled()
    page.get_by_label("Select archive/1994/cat.jpg").check()
    page.get_by_label("Select archive/1994/camera.jpg").check()
    expect(page.get_by_text("2 selected.")).to_be_visible()
    page.get_by_role("button", name="Describe again").click()
    expect(page.get_by_text("0.10 USD", exact=True)).to_be_visible()

    other_tab = page.context.new_page()
    other_tab.goto(page.url)

    page.get_by_role("button", name="Describe them again").dblclick()
    page.get_by_role("heading", name="2 images are to be described again").wait_for()
    picture(page, "asked-light-1280")
    page.go_back()
    expect(page.get_by_role("heading", name="Nothing to describe again")).to_be_visible()
    other_tab.get_by_role("button", name="Describe them again").click()
    expect(other_tab.get_by_role("heading", name="Nothing was changed")).to_be_visible()

    with table.reading() as tx:
        requests = tx.connection.execute(tx.tables.requests.select()).mappings().all()
        again = [row for row in rows.image_rows(tx) if row["redescribed_by"] is not None]
    assert [(request["asked_by"], len(request["image_ids"])) for request in requests] == [
        ("somebody", 2),
        ("somebody", 0),
    ]
    assert [row["status"] for row in again] == ["pending", "pending"]


def test_who_may_only_look_is_not_offered_what_is_for_editors(scene: Scene, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/failures", role=None, name=name_of(reads="archive"))

    expect(page.get_by_role("link", name="timeout")).to_be_visible()
    expect(page.get_by_role("link", name="corrupt")).to_have_count(0)
    page.get_by_role("link", name="timeout").click()
    page.get_by_role("checkbox", name="Select archive").check()
    page.get_by_role("button", name="Describe again").click()

    expect(page.get_by_role("heading", name="Nothing to describe again")).to_be_visible()
    expect(page.get_by_text("1 of archive, which you may not edit")).to_be_visible()


def test_where_s3_is_away_the_page_says_so_once(
    scene: Scene, open_page: Callable[..., Page], complaints: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws("http://127.0.0.1:9"))
    monkeypatch.setattr(pictures, "_pictures", Pictures())

    page = open_page("midjourney/gallery")

    expect(page.get_by_text("S3 cannot be read from here")).to_have_count(1)
    expect(page.get_by_text("S3 cannot be read from here")).to_be_visible()
    expect(page.locator(".frame:visible")).to_have_count(0)
    assert complaints
    assert all("503" in one for one in complaints)
    complaints.clear()
