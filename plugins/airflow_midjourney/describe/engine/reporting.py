"""Progress lines for a log: n of N, how fast, what is left, and the money; one in ten seconds at most."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.pause_report import PauseReport
from airflow_midjourney.describe.table.counts import count
from airflow_midjourney.describe.table.doubt import orphans, unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.counts import Counts
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.doubt.orphans import WaitedFor
    from airflow_midjourney.describe.table.doubt.unanswered import Unproved

SECONDS_BETWEEN_LINES: Final = 10.0

#: What a listing found, in the order in which it is told.
_FOUND: Final = (
    "new",
    "changed",
    "reopened",
    "again",
    "pending",
    "waiting",
    "done",
    "failed",
    "rejected",
    "in_doubt",
    "erased",
)


class ProgressReport:
    """Say where a batch stands, now and then.

    :param write: takes one line, for instance a logger's ``info``.
    :param clock: seconds that only grow.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write = write
        self._clock = clock
        self._last_line = float("-inf")
        self._first: tuple[float, int] | None = None
        self._pause = PauseReport(write)

    async def tell(self, watcher: Watcher, progress: Progress) -> None:
        """Write a line if the last one is old enough; counting all rows costs too much for more."""
        self._pause.tell(progress)
        now = self._clock()
        if now - self._last_line < SECONDS_BETWEEN_LINES:
            return
        self._last_line = now
        counts = await watcher.database.read(count, progress.batch)
        line = self._line(progress, counts, now)
        waits = await watcher.database.read(find_waits, progress.batch, watcher.account)
        for told in waits_in_words(watcher.service.name, waits):
            line += f"; {told}"
        self._write(line)

    def _line(self, progress: Progress, counts: Counts, now: float) -> str:
        if self._first is None:
            self._first = (now, counts.ended)
        total = f"{counts.total}" if progress.listing_ended else f"{counts.total}+"
        parts = [
            f"{counts.ended} of {total} done",
            f"{counts.in_flight} on their way",
            f"{counts.pending} pending",
        ]
        if counts.failed or counts.rejected or counts.in_doubt:
            parts.append(f"{counts.failed} failed, {counts.rejected} rejected, {counts.in_doubt} in doubt")
        parts += self._rate(counts, now)
        parts.append(self._money(counts))
        if progress.account.paused:
            parts.append("the account is paused")
        elif progress.opening is not None and counts.pending:
            parts.append(f"submissions wait until {progress.opening}")
        elif progress.account.is_blocked:
            parts.append(f"the service takes none right now: {progress.account.blocked_reason}")
        elif progress.account.kept and counts.pending:
            parts.append(f"{progress.account.kept} slot(s) are kept for batches of a higher priority")
        return "; ".join(parts)

    def _rate(self, counts: Counts, now: float) -> list[str]:
        since, ended_then = self._first or (now, 0)
        minutes = (now - since) / 60
        done = counts.ended - ended_then
        if minutes <= 0 or done <= 0:
            return []
        per_minute = done / minutes
        return [f"{per_minute:.1f} a minute, about {counts.open / per_minute:.0f} min left"]

    @staticmethod
    def _money(counts: Counts) -> str:
        if counts.cost is None:
            return f"{counts.billed} billed"
        return f"{counts.billed} billed, {counts.cost.normalize():f} {counts.currency or ''} so far".replace("  ", " ")


@dataclass(frozen=True, slots=True)
class OtherWaits:
    """What a batch waits for beside the answers of its own account.

    :param unproved: images that were cut in the middle of their POST.
    :param elsewhere: other accounts by which images of it were sent.
    """

    unproved: Unproved | None = None
    elsewhere: Sequence[WaitedFor] = ()


def find_waits(tx: Transaction, batch: Batch, account: AccountSettings) -> OtherWaits:
    """Find out for what else a batch waits."""
    return OtherWaits(unanswered.unproved(tx, batch, account), orphans.accounts_waited_for(tx, batch, account.identity))


def waits_in_words(connection: str, waits: OtherWaits) -> list[str]:
    """Say for what else a batch waits, for how long, and what a person can do."""
    told = []
    if waits.unproved is not None:
        told.append(
            f"{waits.unproved.images} had no answer to their submission: the service's list is searched for them, for"
            f" {_length(waits.unproved.seconds_left)} at most, and nothing else waits for that"
        )
    for one in waits.elsewhere:
        if not one.is_orphaned:
            told.append(f"{one.rows} wait for account {one.account}, by which they were sent")
            continue
        told.append(
            f"{one.rows} were sent by account {one.account}, which no connection polls any more: other connections look"
            f" for them for {_length(one.seconds_left)} more, then they are in doubt. If connection {connection!r} got"
            f" a new key, set its extra 'account' to {one.account.partition('#')[2]!r}; if it got a new address, let a"
            " second connection with the former one run a sensor over them"
        )
    return told


def _length(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{minutes} min" if minutes < 120 else f"{math.ceil(seconds / 3600)} h"


def listing_line(batch: Batch) -> str:
    """Say what the listing of a batch found."""
    listed = batch.listed
    if listed.keys and not listed.images:
        return f"0 of {listed.keys:,} keys in {batch.scope.describe()} have an image suffix."
    parts = [f"{number:,} {name.replace('_', ' ')}" for name in _FOUND if (number := getattr(listed, name))]
    found = f"{listed.images:,} images among {listed.keys:,} keys in {batch.scope.describe()}"
    passed_over = f" {listed.bad_lines:,} bad lines were passed over." if listed.bad_lines else ""
    return f"{found}: {', '.join(parts) or 'none'}.{passed_over}"


def submitted_line(progress: Progress, counts: Counts) -> str:
    """Say what the operator leaves to the sensor."""
    parts = [f"{counts.billed} submitted and billed by this batch", f"{counts.in_flight} on their way"]
    if progress.capped:
        parts.append(f"{counts.pending - progress.open.sharing} left pending: a cap on submissions or cost was reached")
    if progress.open.unanswered:
        parts.append(f"{progress.open.unanswered} had no answer to their submission: the sensor waits for the proof")
    if progress.open.sharing:
        parts.append(f"{progress.open.sharing} wait for the answer to the same bytes under another key")
    parts.append(f"{counts.ended} done")
    return "; ".join(parts)
