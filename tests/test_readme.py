"""The README reads well where there is no repository around it, and what it says of the demo is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.own_photos import answers_folder
from demo.real_service import CHEAP, DEAR

REPOSITORY = Path(__file__).resolve().parents[1]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def test_every_link_is_absolute() -> None:
    links = re.findall(r"\]\(([^)\s]+)", README)

    assert links
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`((?:docs|dags)/[^`\s]*|[A-Z]+\.md)`", README))))
def test_every_file_that_it_names_is_there(name: str) -> None:
    assert (REPOSITORY / name).exists()


def test_every_word_of_the_demo_s_commands_is_known() -> None:
    words = {
        word for line in re.findall(r"^make demo.*$", README, re.MULTILINE) for word in re.findall(r"([A-Z]+)=", line)
    }

    assert words == {"UI", "PHOTOS", "SERVICE", "PRICE", "EXPORT"}
    assert {"PHOTOS", "SERVICE", "EXPORT"} <= set(
        re.findall(r"[A-Z]+", MAKEFILE.partition("\ndemo:")[2].partition("\n\n")[0])
    )


def test_the_range_of_prices_is_the_one_that_the_demo_names() -> None:
    assert f"**{CHEAP} to {DEAR} USD**, so {CHEAP * 10_000:.0f} to {DEAR * 10_000:.0f} USD for 10,000 images" in README


def test_it_says_where_paid_answers_are() -> None:
    assert f"`~/{answers_folder({}).relative_to(Path.home())}/image_prompts.sqlite`" in README
