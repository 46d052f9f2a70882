"""The end of a demo: the table, the numbers, and where to go from here."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from demo.folder import shown
from demo.photos import PREFIX
from demo.rows import tally
from demo.services import CURRENCY, PRICE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from demo.folder import DemoFolder
    from demo.rows import ImageRow
    from demo.screen import Screen
    from demo.services import Bill

_EXAMPLE_QUERY: Final = "SELECT key, status, prompt_1 FROM image_prompts"


def report(screen: Screen, folder: DemoFolder, repository: Path, rows: Sequence[ImageRow], bill: Bill) -> None:
    """Write all of it.

    :param bill: of this run alone.
    """
    screen.say()
    screen.table(
        ("image", "status", "prompts", "the first of them, or why there are none"), [_cells(row) for row in rows]
    )
    _one_in_full(screen, rows)
    counted = tally(rows)
    screen.say()
    screen.say(counted.line(), "bold")
    if not bill.billed and not counted.unfinished:
        screen.say(
            f"Nothing to pay for: all {counted.total} images have their rows from before"
            f" ({counted.with_prompts} with prompts)."
        )
    screen.say(
        f"The simulator billed {bill.billed} descriptions in this run: {bill.cost:.2f} {CURRENCY}"
        f" at {PRICE} each, in play money."
    )
    _where_next(screen, folder, repository, bill)


def _cells(row: ImageRow) -> tuple[str, str, str, str]:
    return row.key.removeprefix(PREFIX), row.status, str(len(row.prompts)), _last_cell(row)


def _last_cell(row: ImageRow) -> str:
    if row.status != "succeeded":
        return ": ".join(filter(None, (row.reason, row.detail))) or "-"
    if row.shares is not None:
        return f"shared: the same bytes as {row.shares.removeprefix(PREFIX)}, so nothing was paid"
    return row.prompts[0] if row.prompts else "-"


def _one_in_full(screen: Screen, rows: Sequence[ImageRow]) -> None:
    described = [row for row in rows if row.status == "succeeded" and row.prompts and row.shares is None]
    if not described:
        return
    example = described[0]
    screen.say()
    screen.say(f"All prompts of {example.key.removeprefix(PREFIX)}:")
    for number, prompt in enumerate(example.prompts, start=1):
        screen.say(f"  {number}. {prompt}")


def _where_next(screen: Screen, folder: DemoFolder, repository: Path, bill: Bill) -> None:
    screen.say()
    screen.say("Where to look next:")
    screen.say(f"  sqlite3 {shlex.quote(shown(folder.table))} '{_EXAMPLE_QUERY}'")
    screen.say(f"  {shown(folder.photos)}: the images; {shown(folder.airflow_log)}: all that Airflow said")
    screen.say(f"  {shown(repository / 'README.md')}: the same with your own bucket and service")
    if bill.billed:
        screen.say("Run it once more: it will pay for nothing, because every image has its row now.")
