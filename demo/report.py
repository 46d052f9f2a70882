"""The end of a demo: the table, and the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from demo.rows import tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from demo.pictures import Pictures
    from demo.rows import ImageRow
    from demo.screen import Screen
    from demo.services import Bill

#: Rows that a person still reads on a screen.
_MOST_ROWS: Final = 200


def report(screen: Screen, pictures: Pictures, rows: Sequence[ImageRow], bill: Bill) -> None:
    """Write all of it.

    :param bill: of this run alone.
    """
    screen.say()
    screen.table(
        ("image", "status", "prompts", "the first of them, or why there are none"),
        [_cells(pictures, row) for row in rows[:_MOST_ROWS]],
    )
    if len(rows) > _MOST_ROWS:
        screen.say(f"and {len(rows) - _MOST_ROWS:,} more")
    _one_in_full(screen, pictures, rows)
    counted = tally(rows)
    screen.say()
    screen.say(counted.line(), "bold")
    if not bill.billed and not counted.unfinished:
        screen.say(
            f"Nothing to pay for: all {counted.total} images have their rows from before"
            f" ({counted.with_prompts} with prompts)."
        )
    screen.say(bill.line())


def _cells(pictures: Pictures, row: ImageRow) -> tuple[str, str, str, str]:
    return pictures.name(row.key), row.status, str(len(row.prompts)), _last_cell(pictures, row)


def _last_cell(pictures: Pictures, row: ImageRow) -> str:
    if row.status != "succeeded":
        return ": ".join(filter(None, (row.reason, row.detail))) or "-"
    if row.shares is not None:
        return f"shared: the same bytes as {pictures.name(row.shares)}, so nothing was paid"
    return row.prompts[0] if row.prompts else "-"


def _one_in_full(screen: Screen, pictures: Pictures, rows: Sequence[ImageRow]) -> None:
    described = [row for row in rows if row.status == "succeeded" and row.prompts and row.shares is None]
    if not described:
        return
    example = described[0]
    screen.say()
    screen.say(f"All prompts of {pictures.name(example.key)}:")
    for number, prompt in enumerate(example.prompts, start=1):
        screen.say(f"  {number}. {prompt}")
