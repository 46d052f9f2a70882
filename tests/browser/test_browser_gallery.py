"""The gallery and the page of an image, as somebody uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import airflow_connections as connections
from tests.support.gallery_scenes import Scene, set_the_scene

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mypy_boto3_s3 import S3Client
    from playwright.sync_api import Page

    from airflow_midjourney.describe.table.database import Database


@pytest.fixture
def scene(table: Database, s3: S3Client, s3_url: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Photographs with prompts and without, which the API server may read."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", connections.aws(s3_url))
    monkeypatch.setenv("AIRFLOW_CONN_MIDJOURNEY_DEFAULT", connections.midjourney("https://mj.example", "a-key"))
    return set_the_scene(table, s3, bucket)


def all_pictures_are_here(page: Page) -> None:
    """Wait until every picture of the page has come."""
    page.evaluate("for (const image of document.images) { image.loading = 'eager'; }")
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")


@pytest.mark.parametrize(("look", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)])
def test_the_gallery_and_an_image_look_well(
    look: str, width: int, scene: Scene, open_page: Callable[..., Page], picture: Callable[..., Path]
) -> None:
    page = open_page("midjourney/gallery?dag_id=product_photos", dark=look == "dark", width=width)
    all_pictures_are_here(page)
    picture(page, f"gallery-{look}-{width}")
    assert fits(page)

    page.get_by_role("link", name="cat.jpg").click()
    all_pictures_are_here(page)
    assert page.get_by_role("heading", level=1).inner_text() == "products/2026-11/cat.jpg"
    picture(page, f"image-{look}-{width}", whole=True)
    assert fits(page)


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"))
