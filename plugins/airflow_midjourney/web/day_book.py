"""Days of the bill, each read once for all who look at it.

Reading a day of a hundred thousand submissions takes the database seconds, and a page asks for thirty or ninety days.
So a day is kept for a while that grows with what it took: a small one is always fresh, and a large one keeps the
database busy for a twentieth of the time at most. What is kept is kept for one set of DAGs, that of its reader.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from airflow_midjourney.describe.queries.spend import SpendLine, spend_of_day

if TYPE_CHECKING:
    from datetime import date

    from airflow_midjourney.describe.queries.owners import DagIds
    from airflow_midjourney.describe.table.database import Database

#: A day is kept for so many times as long as it took to read.
_KEPT_FOR: Final = 20

#: Days that are kept at most.
_MOST: Final = 2000


@dataclass
class DayBook:
    """The days of one database that were read lately, each with the moment until which it is fresh."""

    days: OrderedDict[tuple[date, DagIds], tuple[float, list[SpendLine]]] = field(default_factory=OrderedDict)

    async def read(self, database: Database, day: date, dag_ids: DagIds) -> list[SpendLine]:
        """Give the lines of a day, as of a moment ago."""
        key = (day, dag_ids)
        fresh_until, lines = self.days.get(key, (0.0, []))
        began = time.monotonic()
        if began < fresh_until:
            return lines
        lines = await database.read_now(spend_of_day, day, dag_ids)
        ended = time.monotonic()
        self.days[key] = (ended + _KEPT_FOR * (ended - began), lines)
        self.days.move_to_end(key)
        while len(self.days) > _MOST:
            self.days.popitem(last=False)
        return lines


_books: WeakKeyDictionary[Database, DayBook] = WeakKeyDictionary()


async def read_day(database: Database, day: date, dag_ids: DagIds) -> list[SpendLine]:
    """Give the lines of a day, as of a moment ago, of these DAGs only."""
    return await _books.setdefault(database, DayBook()).read(database, day, dag_ids)
