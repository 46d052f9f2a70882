"""The terminal: plain text, a little colour on a terminal, nothing that strangers control."""

from __future__ import annotations

import shutil
import sys
import time
import unicodedata
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Width where there is no terminal, and the narrowest that still makes a table.
_WIDTH_OF_A_FILE: Final = 120
_NARROWEST: Final = 50

#: Between two columns of a table.
_GAP: Final = 2

#: Control and formatting characters, lone surrogates, characters without a meaning: they can rewrite a terminal.
_HARMFUL: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class Screen:
    """Write lines for a person.

    :param console: by default one for standard output.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or _console()
        self._started = time.monotonic()

    def say(self, text: str = "", style: str = "") -> None:
        """Write a line as it is; the terminal wraps it."""
        self._console.print(Text(harmless(text), style=style), soft_wrap=True)

    def step(self, text: str, style: str = "") -> None:
        """Write one line with the seconds since the start, cut to the terminal's width."""
        line = Text(f"{time.monotonic() - self._started:5.1f}s  ", style="dim")
        line.append(harmless(text), style=style)
        self._console.print(line, no_wrap=True, overflow="ellipsis")

    def failure(self, text: str) -> None:
        """Write what went wrong, line by line."""
        for number, line in enumerate(text.splitlines()):
            self.say(line if number == 0 else f"  {line}", "red" if number == 0 else "")

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table in which every row is one line; the last column takes what is left of the width."""
        clean = [[harmless(cell) for cell in row] for row in rows]
        table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
        left = self._console.width
        for number, heading in enumerate(headings):
            widest = max(cell_len(text) for text in (heading, *(row[number] for row in clean)))
            width = left if number == len(headings) - 1 else min(widest, self._console.width // 4)
            left -= width + _GAP
            table.add_column(Text(heading), no_wrap=True, overflow="ellipsis", width=max(width, 1))
        for row in clean:
            table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
        self._console.print(table)


_STYLES: Final = {"succeeded": "green", "rejected": "yellow", "failed": "red"}


def harmless(text: str) -> str:
    """Give a text without anything that moves a cursor, changes a colour or turns the direction of writing."""
    return "".join(
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) not in _HARMFUL
    )


def _console() -> Console:
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    width = shutil.get_terminal_size((_WIDTH_OF_A_FILE, 24)).columns
    return Console(width=max(width, _NARROWEST), highlight=False, markup=False, emoji=False)
