"""How far a batch has come, and whether a run has to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.listing import is_worth_listing
from airflow_midjourney.describe.model.errors import BatchError, ServiceUnavailableError
from airflow_midjourney.describe.service.read_response import CHECK_REACH
from airflow_midjourney.describe.table.accounts import AccountState, read_account
from airflow_midjourney.describe.table.batches import read_batch
from airflow_midjourney.describe.table.budgets import run_is_capped, submissions_left
from airflow_midjourney.describe.table.counts import (
    OpenRows,
    alike_in_a_row,
    count_open,
    count_sent_beside,
    count_undecided,
)
from airflow_midjourney.describe.table.latency import oldest_in_flight, quickest_seconds, typical_seconds

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.model.submit_window import Opening
    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a batch stands, and what its account allows, at one moment.

    :param undecided: doubtful rows of its scope that the service can still be asked about.
    :param sent_beside: rows of earlier runs on their way that the batch has sent, having none of its own.
    :param submissions_left: POSTs that may still be paid for, None without a cap.
    :param run_capped: whether the run itself may not pay for more, whatever the day allows.
    :param typical_seconds: how long describes took lately, None if not known.
    :param oldest_in_flight: when the account's oldest unanswered image was submitted.
    :param handled: images that this round has read, whatever came of them.
    :param quickest_seconds: how long the quickest of them took, None if not known.
    :param opening: when images may be submitted again by the hours of the connection; None while they may.
    """

    batch: Batch
    open: OpenRows
    undecided: int
    sent_beside: int
    account: AccountState
    room: int
    submissions_left: int | None
    run_capped: bool
    typical_seconds: float | None
    oldest_in_flight: datetime | None
    handled: int = 0
    quickest_seconds: float | None = None
    opening: Opening | None = None

    @property
    def listing_ended(self) -> bool:
        """Whether every image of the scope is in the table."""
        return self.batch.listing_ended_at is not None

    @property
    def capped(self) -> bool:
        """Whether rows stay pending because no more may be paid for."""
        return self.submissions_left == 0 and self.open.to_submit > 0

    @property
    def all_submitted(self) -> bool:
        """Whether there is nothing left to submit, and no POST of a worker that may be alive on its way.

        What was cut in the middle of its POST waits for its proof: that alone keeps no task but the last.
        """
        nothing_to_submit = self.open.to_submit == 0 or self.capped
        return self.listing_ended and nothing_to_submit and self.open.submitting <= self.open.unanswered

    @property
    def all_ended(self) -> bool:
        """Whether every image of the scope has its prompts or a reason, as far as a cap allows."""
        on_their_way = self.open.in_flight + self.open.sharing + self.sent_beside
        return self.all_submitted and on_their_way == 0 and self.undecided == 0

    @property
    def waits_for_tomorrow(self) -> bool:
        """Whether rows stay pending because of a cap that the next day lifts."""
        return self.capped and not self.run_capped

    @property
    def work_to_do(self) -> bool:
        """Whether a worker could list or submit something right now."""
        can_submit = self.open.claimable > 0 and self.room > 0 and self.submissions_left != 0
        return can_submit or self.can_list

    @property
    def can_list(self) -> bool:
        """Whether there is more to list, and use for it."""
        return not self.listing_ended and is_worth_listing(self.batch, self.open, self.submissions_left)


async def look(watcher: Watcher, batch_id: str, handled: int = 0) -> Progress:
    """See where a batch stands, without doing anything."""
    progress = await watcher.database.read(_progress, batch_id, watcher.account, handled)
    watcher.database.observer.in_flight(watcher.service.name, progress.account.in_flight)
    return progress


async def stop_if_hopeless(watcher: Watcher, batch: Batch) -> None:
    """End the run when something other than the images is broken.

    :raises ServiceUnavailableError: when the service has only failed for five minutes.
    :raises BatchError: when the latest images all failed for one reason that is not theirs.
    """
    state = await watcher.database.read(read_account, watcher.account.identity)
    if state.only_fails(batch.tried_at):
        raise ServiceUnavailableError(
            f"The service of connection {watcher.service.name!r} has done nothing but fail for five minutes"
            f" (last: {state.blocked_reason or 'no answer to polls'}). What is on its way is remembered; run again"
            f" when the service works. {CHECK_REACH}",
            retry_helps=True,
        )
    alike = await watcher.database.read(alike_in_a_row, batch)
    if alike is not None:
        reason, detail = alike
        raise BatchError(
            f"The latest 10 images all failed with {reason!r} ({detail}), which is not the images' fault. Check"
            f" the service of connection {watcher.service.name!r}, then run again; images not sent are still"
            " pending.",
            retry_helps=True,
        )


def _progress(tx: Transaction, batch_id: str, account: AccountSettings, handled: int) -> Progress:
    batch = read_batch(tx, batch_id)
    state = read_account(tx, account.identity, batch.options.priority)
    return Progress(
        batch=batch,
        open=count_open(tx, batch),
        undecided=count_undecided(tx, batch, account.identity),
        sent_beside=count_sent_beside(tx, batch),
        account=state,
        room=state.room(account),
        submissions_left=submissions_left(tx, batch, account),
        run_capped=run_is_capped(tx, batch, account),
        typical_seconds=typical_seconds(tx, account.identity),
        oldest_in_flight=oldest_in_flight(tx, account.identity),
        handled=handled,
        quickest_seconds=quickest_seconds(tx, account.identity),
        opening=account.opening(state.now),
    )
