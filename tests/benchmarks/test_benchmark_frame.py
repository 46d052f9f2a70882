"""What benchmarks have in common: figures, results by part, tables, pictures, and the page that is filled from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.figures import Bar, Figure, Mark
from benchmarks.parts import Part, find_parts
from benchmarks.plots import charts_of, draw
from benchmarks.results import FULL, Record, Results
from benchmarks.tables import marks_in_words, plain_table

if TYPE_CHECKING:
    from pathlib import Path

SLOWER = Mark("slower", "at most", 1.5)
BARS = (Bar("Wall, s", "ours", 3.0, is_ours=True), Bar("Wall, s", "theirs", 2.0))
REACHED = Figure("a|b", 1.5, "×", "3 s beside 2 s", SLOWER, bars=BARS)
MISSED = Figure("c", 1.501, "×", "3.002 s beside 2 s", SLOWER)
BOUND = Figure("d", 8.25, "×", "at least 33 s beside 4 s", Mark("faster", "at least", 8), is_bound=True)

END = "<!-- end of figures -->\n"
PAGE = f"Prose.\n<!-- figures: marks -->\nold\n{END}More.\n<!-- figures: one -->\n{END}"


def record(*figures: Figure) -> Record:
    machine = {"cores": "2", "processor": "A", "memory": "8 GiB", "system": "Linux 6"}
    return Record("One part.", "2026-01-02T03:04:05Z", 61.0, machine, {"Airflow": "3.3.2"}, list(figures))


def test_the_page_agrees_with_the_results() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    records = Results.read(FULL).records

    assert report.filled(page, records, report.links(records)) == page, "run: python -m benchmarks.report"
    assert all((report.PAGE.parent / link).exists() for link in report.links(records).values())


def test_the_page_has_a_place_for_every_part() -> None:
    page = report.PAGE.read_text(encoding="utf-8")

    assert {"dag", "triggers"} <= set(find_parts())
    assert [name for name in find_parts() if f"<!-- figures: {name} -->" not in page] == []


@pytest.mark.parametrize(
    ("mark", "reached", "missed"),
    [
        (Mark("m", "at most", 1.2), 1.2004, 1.201),
        (Mark("m", "at least", 8), 7.9996, 7.999),
        (Mark("m", "less than", 0.2), 0.199, 0.2),
    ],
)
def test_a_mark_is_held_against_what_is_printed(mark: Mark, reached: float, missed: float) -> None:
    assert mark.is_reached(reached)
    assert not mark.is_reached(missed)


def test_a_part_that_is_measured_again_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    Results.read(path).merge("one", record(REACHED, BOUND))
    Results.read(path).merge("two", record(MISSED))
    Results.read(path).merge("one", record(BOUND))

    assert Results.read(path).records == {"one": record(BOUND), "two": record(MISSED)}
    assert json.loads(path.read_text(encoding="utf-8"))["two"]["figures"][0]["verdict"] == "MISSED"


def test_missed_marks_are_said_in_words() -> None:
    said = marks_in_words({"one": record(REACHED, MISSED, BOUND)})

    assert said.splitlines()[0] == "2 of 3 marks are reached."
    assert "- *one*: c is 1.50 × (3.002 s beside 2 s); the mark is at most 1.5." in said


def test_a_lower_bound_is_printed_as_one() -> None:
    assert "≥ 8.25 ×" in plain_table("one", record(BOUND))


def test_only_what_is_between_markers_is_written() -> None:
    page = report.filled(PAGE, {"one": record(REACHED)}, {"one": "images/one.png"})

    assert page.startswith(
        "Prose.\n<!-- figures: marks -->\n\n1 of 1 marks are reached.\n\n<!-- end of figures -->\nMore.\n"
    )
    assert "| a\\|b | 1.50 × | 3 s beside 2 s | at most 1.5 | reached |" in page
    assert "![One part.](images/one.png)" in page
    assert "Measured 2026-01-02 in 61 s on 2 cores of A with 8 GiB of memory, Linux 6: Airflow 3.3.2." in page
    assert report.filled(page, {"one": record(REACHED)}, {"one": "images/one.png"}) == page


def test_a_part_without_a_place_is_said() -> None:
    with pytest.raises(SystemExit, match="figures: two"):
        report.filled(PAGE, {"two": record()}, {})


def test_the_same_figures_give_the_same_picture(tmp_path: Path) -> None:
    drawn = record(
        REACHED, Figure("again", 1, "×", "", bars=BARS), Figure("wide", 1, "", "", bars=(Bar("x", "y", 9e6),))
    )
    for name in ("a.png", "b.png"):
        draw(drawn, tmp_path / name)

    assert charts_of(drawn) == {"Wall, s": list(BARS), "x": [Bar("x", "y", 9e6)]}
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_measures_keeps_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = {"one": Part("one", "One part.", lambda *, quick: [MISSED] if quick else [])}
    monkeypatch.setattr(command, "find_parts", lambda: parts)

    assert command.main(["one", "--quick", "--results", str(tmp_path / "r.json")]) == 0
    assert Results.read(tmp_path / "r.json").records["one"].figures == [MISSED]
    assert "MISSED" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.main(["two"])
