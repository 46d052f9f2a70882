"""What the shared poller of an account has to know in each round, in one read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, or_, select

from airflow_midjourney.describe.model.status import IN_FLIGHT
from airflow_midjourney.describe.table.accounts import AccountState, read_account
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds from the wish to wake a task until it submits: Airflow has to notice, and to start a process.
WAKING_TAKES: Final = 6.0

#: Seconds that a transaction may take between choosing its moment and being seen by others.
_COMMIT_LAG: Final = 15.0


@dataclass(frozen=True, slots=True)
class ActiveRow:
    """A row that holds a slot, or that has ended lately.

    :param batch_id: which batch has sent it; it may lie in the scope of others, too.
    """

    id: int
    status: str
    bucket: str
    key: str
    bot_type: str
    batch_id: str | None
    submitted_at: datetime | None


@dataclass(frozen=True, slots=True)
class Pulse:
    """An account at one moment.

    :param rows: rows in flight, and rows that ended lately, of any sender.
    """

    account: AccountState
    rows: frozenset[ActiveRow]

    @property
    def on_their_way(self) -> frozenset[ActiveRow]:
        """The rows that hold a slot."""
        return frozenset(row for row in self.rows if row.status in IN_FLIGHT)

    def room_soon(self, settings: AccountSettings, quickest_seconds: float | None) -> int:
        """Give how many images may be submitted when a worker that is woken now begins to.

        With a queue there the service has enough to do, and slots that are free now are early enough. Without one, each
        answer leaves it idle: answers that are due within the time that waking takes count, too. Overdue ones do not,
        since no estimate says when they come.

        :param quickest_seconds: how long the service takes for an image at least; None if not known.
        """
        state = self.account
        room = state.room(settings)
        may_not = state.is_blocked or settings.opening(state.now) is not None
        if quickest_seconds is None or state.queued or may_not:
            return room
        ages = (
            (state.now - row.submitted_at).total_seconds() for row in self.on_their_way if row.submitted_at is not None
        )
        return room + sum(quickest_seconds - WAKING_TAKES < age <= quickest_seconds for age in ages)


def feel_pulse(tx: Transaction, account: str, places: Collection[tuple[str, str]], since: datetime | None) -> Pulse:
    """Read it as last committed.

    :param places: bucket and bot of the rows whose end is of interest.
    :param since: when it was last read; None if it was not.
    """
    images = tx.tables.images
    columns = images.c
    wanted = (
        columns.id,
        columns.status,
        columns.bucket,
        columns.key,
        columns.bot_type,
        columns.batch_id,
        columns.submitted_at,
    )
    on_their_way = select(*wanted).where(columns.account == account, has_status(images, *IN_FLIGHT))
    rows = [ActiveRow(*row) for row in tx.connection.execute(on_their_way)]
    if places and since is not None:
        here = or_(*(and_(columns.bucket == bucket, columns.bot_type == bot) for bucket, bot in places))
        ended = select(*wanted).where(here, columns.ended_at >= since - timedelta(seconds=_COMMIT_LAG))
        rows += [ActiveRow(*row) for row in tx.connection.execute(ended)]
    return Pulse(read_account(tx, account), frozenset(rows))
