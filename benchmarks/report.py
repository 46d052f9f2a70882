"""``python -m benchmarks.report``: fill the tables and pictures of ``docs/performance.md`` from ``results.json``.

Everything between the markers is written anew; the prose around them stays as it is.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.results import FULL, Results
from benchmarks.tables import markdown_table, marks_in_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.results import Record

PAGE: Final = Path(__file__).parents[1] / "docs" / "performance.md"

_SECTION: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def filled(page: str, records: Mapping[str, Record], pictures: Mapping[str, str]) -> str:
    """Give the page with what has been measured.

    :param pictures: links to pictures by the names of their parts.
    :raises SystemExit: if a part has no place on the page.
    """
    sections = {name: _section(record, pictures.get(name)) for name, record in records.items()}
    if records:
        sections["marks"] = marks_in_words(records)
    places = [match.group(2) for match in _SECTION.finditer(page)]
    if missing := sorted(set(sections) - set(places)):
        raise SystemExit(f"The page has no <!-- figures: {missing[0]} --> ... <!-- end of figures -->: add them.")

    def fill(match: re.Match[str]) -> str:
        return f"{match.group(1)}\n{sections.get(match.group(2), '_Not measured yet._')}\n\n{match.group(3)}"

    return _SECTION.sub(fill, page)


def links(records: Mapping[str, Record]) -> dict[str, str]:
    """Give the pictures, as the page names them, of all parts that have something to draw."""
    return {
        name: f"images/performance-{name}.png"
        for name, record in records.items()
        if any(figure.bars for figure in record.figures)
    }


def write(results: Results, page: Path = PAGE) -> None:
    """Draw the pictures and fill the page."""
    from benchmarks.plots import draw

    pictures = links(results.records)
    for name, link in pictures.items():
        draw(results.records[name], page.parent / link)
    page.write_text(filled(page.read_text(encoding="utf-8"), results.records, pictures), encoding="utf-8")


def _section(record: Record, picture: str | None) -> str:
    table = markdown_table(record)
    return table if picture is None else f"{table}\n\n![{record.title}]({picture})"


if __name__ == "__main__":
    write(Results.read(FULL))
    sys.stdout.write(f"{PAGE.name} is filled.\n")
