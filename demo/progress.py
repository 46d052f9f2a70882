"""What is shown while Airflow runs: the product's own lines, and how far the table has come."""

from __future__ import annotations

import re
import sqlite3
import time
from typing import TYPE_CHECKING, Final

from demo.rows import read_rows, tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from demo.airflow_log import LogLine
    from demo.pictures import Pictures
    from demo.screen import Screen

_SECONDS_BETWEEN_LOOKS: Final = 0.5

#: A batch's id and the progress of a batch without work are nothing to a newcomer.
_LEFT_OUT: Final = re.compile(r"Batch \S+: |0 of 0\+? done;")


class Progress:
    """Show a run as it goes on.

    :param table: the SQLite file with the metadata table.
    :param clock: seconds that only grow.
    """

    def __init__(
        self, screen: Screen, table: Path, pictures: Pictures, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._screen = screen
        self._table = table
        self._pictures = pictures
        self._clock = clock
        self._next_look = clock()
        self._shown = self._done()

    def hear(self, line: LogLine) -> None:
        """Show a line of Airflow's log if it is one of ours."""
        if not line.is_ours or line.level == "debug" or _LEFT_OUT.match(line.text):
            return
        self._shown = max(self._shown, self._done())
        self._screen.step(f"{line.task}: {line.text}", "yellow" if line.level == "warning" else "")

    def look(self) -> None:
        """Look into the table now and then, and say how many images are done if these are more than before."""
        if self._clock() < self._next_look:
            return
        self._next_look = self._clock() + _SECONDS_BETWEEN_LOOKS
        done = self._done()
        if done > self._shown:
            self._shown = done
            counted = tally(read_rows(self._table, self._pictures))
            self._screen.step(f"{counted.done} of {counted.total} done, {counted.on_the_way} on their way")

    def _done(self) -> int:
        try:
            return tally(read_rows(self._table, self._pictures)).done
        except sqlite3.OperationalError:
            # The table is being made at this moment.
            return 0
