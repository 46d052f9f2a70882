"""What is written to a terminal fits it and cannot take it over."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from demo.screen import Screen, harmless

HOSTILE = "a'; drop table--<script>\x1b[2J\x1b]0;title\x07\u202ejpg.\x00\ud800\r\n[bold red]:smile:\u200b.jpg"


def written(width: int, *rows: tuple[str, ...]) -> str:
    output = io.StringIO()
    console = Console(file=output, width=width, highlight=False, markup=False, emoji=False)
    Screen(console).table(("image", "status", "text"), rows)
    return output.getvalue()


def test_hostile_text_loses_what_moves_a_terminal_and_keeps_the_rest() -> None:
    assert harmless(HOSTILE) == "a'; drop table--<script>[2J]0;titlejpg.  [bold red]:smile:.jpg"


@given(st.text(st.characters()))
def test_no_text_keeps_a_control_character(text: str) -> None:
    clean = harmless(text)

    assert {unicodedata.category(character) for character in clean}.isdisjoint({"Cc", "Cf", "Cs", "Co", "Cn"})
    clean.encode()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1, max_size=4), st.integers(50, 200))
def test_every_row_is_one_line_within_the_width(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = written(width, *rows).removesuffix("\n").split("\n")

    assert len(lines) == len(rows) + 1
    assert max(map(cell_len, lines)) <= width


def test_a_wide_script_is_cut_within_the_width() -> None:
    lines = written(60, ("写真" * 30, "succeeded", "写真" * 60)).splitlines()

    assert cell_len(lines[1]) <= 60
    assert "succeeded" in lines[1]


def test_a_step_is_cut_and_a_failure_is_not() -> None:
    output = io.StringIO()
    screen = Screen(Console(file=output, width=60))

    screen.step("x" * 200)
    screen.failure("y" * 200)

    step, failure = output.getvalue().splitlines()
    assert len(step) == 60
    assert failure == "y" * 200


@pytest.mark.parametrize("name", ["NO_COLOR", "no terminal"])
def test_there_is_no_colour_where_nobody_wants_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    if name == "NO_COLOR":
        monkeypatch.setenv("NO_COLOR", "1")
    Screen(Console(file=output, force_terminal=name == "NO_COLOR", width=60)).failure("broken")

    assert "\x1b[31m" not in output.getvalue()
    assert "broken" in output.getvalue()
