"""The pictures in the documents show the pages as they are."""

from __future__ import annotations

import re

import pytest

from airflow_midjourney.web.rendering import NAVIGATION
from tests.support.airflow_home import REPOSITORY
from tests.support.album import digest_of, read_notes

ALBUM = REPOSITORY / "docs" / "images"
#: Those of benchmarks are drawn by benchmarks.
PICTURES = sorted(path.name for path in ALBUM.glob("*.png") if not path.name.startswith("performance-"))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_todays_menu(name: str) -> None:
    note = read_notes(ALBUM)[name]

    hint = "Take the pictures anew with `make screenshots`, look at them, and commit them."
    assert note["menu"] == [words for _, _, words in NAVIGATION], hint
    assert note["sha256"] == digest_of(ALBUM / name), hint


def test_every_picture_that_a_document_shows_is_there() -> None:
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    shown = {name for page in pages for name in re.findall(r"images/([a-z0-9-]+\.png)", page.read_text("utf-8"))}

    assert shown
    assert shown <= {path.name for path in ALBUM.glob("*.png")}
