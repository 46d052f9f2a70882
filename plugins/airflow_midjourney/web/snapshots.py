"""One look at a batch for all who look at it.

Counting a batch of a million images takes the database a while, and a page asks every few seconds, in every browser
that shows it. So a look is kept for a while that grows with what it took: a batch never keeps the database busy for
more than a twentieth of the time, however many people look at it; and the numbers of a small one are always fresh.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakKeyDictionary

from airflow_midjourney.describe.model.errors import DescribeError, TableError
from airflow_midjourney.describe.queries.batch import BatchOverview, overview
from airflow_midjourney.describe.table.database import LONGEST_LOOK

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database

T = TypeVar("T")

#: A look is kept for so many times as long as it took.
_KEPT_FOR: Final = 20

#: One that took too long is not tried again for so many times as long as it took.
_FAILED_FOR: Final = 3

#: Looks that are kept at most.
_MOST: Final = 500

#: Seconds after which a page asks again: while something is going on, and when all has ended.
_SOON: Final = 3.0
_LATER: Final = 60.0


@dataclass(frozen=True, slots=True)
class Look:
    """A batch as it was a moment ago.

    :param fresh_until: by ``time.monotonic()``.
    """

    found: BatchOverview
    fresh_until: float

    @property
    def ask_again_after(self) -> float:
        """Seconds after which there may be something new to see."""
        usual = _SOON if self.found.is_open else _LATER
        return max(usual, self.fresh_until - time.monotonic())


@dataclass(frozen=True, slots=True)
class Failure:
    """A look that came to nothing: a query that takes too long is not asked again at once by each viewer.

    :param until: by ``time.monotonic()``.
    """

    error: TableError
    until: float


@dataclass
class Watch:
    """The latest looks at the batches of one database."""

    looks: OrderedDict[str, Look] = field(default_factory=OrderedDict)
    failures: OrderedDict[str, Failure] = field(default_factory=OrderedDict)
    looking: dict[str, asyncio.Future[Look]] = field(default_factory=dict)

    async def look(self, database: Database, batch: Batch) -> Look:
        """Give where a batch stands; requests that come while one is counting get its result."""
        known = self.looks.get(batch.batch_id)
        if known is not None and time.monotonic() < known.fresh_until:
            return known
        failure = self.failures.get(batch.batch_id)
        if failure is not None and time.monotonic() < failure.until:
            raise failure.error.with_traceback(None)
        under_way = self.looking.get(batch.batch_id)
        if under_way is None or under_way.done():
            under_way = self.looking[batch.batch_id] = asyncio.ensure_future(self._look(database, batch))
        try:
            # The first request may be gone before the answer comes; the others still want it.
            return await asyncio.shield(under_way)
        finally:
            if under_way.done():
                self.looking.pop(batch.batch_id, None)

    async def _look(self, database: Database, batch: Batch) -> Look:
        began = time.monotonic()
        account = await asyncio.to_thread(_account_of, batch)
        try:
            found = await database.read_now(overview, batch.batch_id, account)
        except TableError as error:
            took = time.monotonic() - began
            if took >= LONGEST_LOOK:
                _keep(self.failures, batch.batch_id, Failure(error, time.monotonic() + _FAILED_FOR * took))
            raise
        self.failures.pop(batch.batch_id, None)
        ended = time.monotonic()
        look = Look(found, ended + _KEPT_FOR * (ended - began))
        _keep(self.looks, batch.batch_id, look)
        return look


def _keep(kept: OrderedDict[str, T], batch_id: str, news: T) -> None:
    kept[batch_id] = news
    kept.move_to_end(batch_id)
    while len(kept) > _MOST:
        kept.popitem(last=False)


_watches: WeakKeyDictionary[Database, Watch] = WeakKeyDictionary()


async def look_at(database: Database, batch: Batch) -> Look:
    """Give where a batch stands, as of a moment ago."""
    watch = _watches.get(database)
    if watch is None:
        watch = _watches[database] = Watch()
    return await watch.look(database, batch)


def forget_looks(database: Database) -> None:
    """Let the next look at every batch be a fresh one: a person has changed something that all of them show."""
    _watches.pop(database, None)


def _account_of(batch: Batch) -> AccountSettings | None:
    """Read the connection of a batch; None where this process cannot, since a page can do without."""
    from airflow_midjourney.hooks.midjourney import MidjourneyHook

    try:
        return MidjourneyHook(batch.options.mj_conn_id).account()
    except DescribeError:
        return None
