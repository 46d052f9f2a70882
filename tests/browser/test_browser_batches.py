"""The list of batches and the page of one, as somebody uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from airflow_midjourney.describe.table.database import Database


def test_an_empty_list_says_how_to_begin(table: Database, open_page: Callable[..., Page]) -> None:
    page = open_page("midjourney/batches")

    assert page.get_by_role("heading", level=1).inner_text() == "Batches"
