"""A batch at one moment, for a person who looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, func, select

from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN
from airflow_midjourney.describe.table.accounts import has_account, read_account
from airflow_midjourney.describe.table.batches import in_scope, read_batch
from airflow_midjourney.describe.table.budgets import Spent, spent_today_at_most, submissions_left
from airflow_midjourney.describe.table.counts import Counts, count
from airflow_midjourney.describe.table.doubt.in_doubt import most_resubmissions
from airflow_midjourney.describe.table.doubt.orphans import WaitedFor, accounts_waited_for
from airflow_midjourney.describe.table.doubt.unanswered import Unproved, unproved
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.model.submit_window import Opening
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction

#: Parts of one mapped task that are named beside each other.
MOST_PARTS: Final = 100

#: POSTs of an account's day that are counted for each look where no cap keeps a tally of them.
MOST_OF_A_DAY: Final = 2000

#: What ended in this time says how fast it goes now.
LATELY: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many images of a batch ended lately.

    :param ended: images.
    :param seconds: in which they did.
    """

    ended: int
    seconds: float

    @property
    def per_minute(self) -> float:
        """Images a minute."""
        return 60 * self.ended / max(self.seconds, 1.0)

    def seconds_for(self, images: int) -> float | None:
        """Give how long some more images take at this pace; None if nothing moves."""
        return images * self.seconds / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class AccountLook:
    """The account that pays for a batch.

    :param settings: what its connection says.
    :param spent: what all DAGs have spent on it today; None where there is no cap and more than :data:`MOST_OF_A_DAY`
        POSTs would have to be counted.
    :param submissions_left: POSTs that the caps of the run and of the day still allow; None without a cap.
    :param unproved: images of the batch that were cut in the middle of their POST, if there are some.
    """

    settings: AccountSettings
    state: AccountState
    spent: Spent | None
    submissions_left: int | None
    unproved: Unproved | None = None

    @property
    def opening(self) -> Opening | None:
        """When images may be submitted again by the hours of the connection; None while they may."""
        return self.settings.opening(self.state.now)


@dataclass(frozen=True, slots=True)
class BatchOverview:
    """What a person asks about a batch first.

    :param now: the database's moment of all of this.
    :param oldest_waiting: when the image was submitted that has waited for its answer the longest, if one waits.
    :param latest_end: when the latest of its images ended, if one did.
    :param parts: batch ids of the same task in the same run; more than one if the task is mapped.
    :param settings: what the connection says; None where it cannot be read here.
    :param account: None where the connection cannot be read here, or nothing was ever sent over it.
    :param elsewhere: other accounts by which images of it are on their way.
    """

    batch: Batch
    counts: Counts
    now: datetime
    oldest_waiting: datetime | None
    latest_end: datetime | None
    parts: tuple[str, ...]
    pace: Pace
    settings: AccountSettings | None = None
    account: AccountLook | None = None
    elsewhere: tuple[WaitedFor, ...] = ()

    @property
    def is_listed(self) -> bool:
        """Whether every image of the scope is in the table."""
        return self.batch.listing_ended_at is not None

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return not self.is_listed or self.counts.open > 0

    @property
    def to_send(self) -> int:
        """Images that are still to be sent, or would be; as many as no cap allows among them."""
        return self.batch.listed.to_describe if self.batch.options.plan_only else self.counts.pending

    @property
    def expected_cost(self) -> Decimal | None:
        """What the batch costs if each image that is still to be sent is sent once; None where that is not known."""
        return self._cost_with(self.to_send)

    @property
    def highest_cost(self) -> Decimal | None:
        """What it costs if the service fails every image until its attempts are used up; None where not known.

        Beside that, some are sent once more for want of an answer.
        """
        attempts = self.batch.options.max_attempts
        tried_again = self.to_send * attempts + self.counts.in_flight * (attempts - 1)
        return self._cost_with(tried_again + self.resubmissions)

    @property
    def resubmissions(self) -> int:
        """How many images may be sent once more, and perhaps paid for twice, for want of an answer."""
        if self.batch.options.in_doubt != "resubmit":
            return 0
        images = self.to_send + self.counts.in_flight + self.counts.in_doubt
        return min(images, most_resubmissions(images))

    def _cost_with(self, submissions: int) -> Decimal | None:
        """Give what the batch costs with so many more submissions, as far as caps allow them."""
        if self.account is not None and self.account.submissions_left is not None:
            submissions = min(submissions, self.account.submissions_left)
        price = None if self.settings is None else self.settings.price
        if price is None:
            return None if submissions else self.counts.cost
        return (self.counts.cost or 0) + submissions * price


def overview(tx: Transaction, batch_id: str, account: AccountSettings | None = None) -> BatchOverview:
    """Look at a batch.

    :param account: that pays for it, as its connection says.
    :raises BatchError: if there is none.
    """
    batch = read_batch(tx, batch_id)
    return BatchOverview(
        batch,
        count(tx, batch),
        tx.now,
        _oldest_waiting(tx, batch),
        _latest_end(tx, batch),
        _parts(tx, batch),
        _pace(tx, batch),
        account,
        None if account is None or not has_account(tx, account.identity) else _look_at(tx, batch, account),
        tuple(accounts_waited_for(tx, batch, None if account is None else account.identity)),
    )


def _oldest_waiting(tx: Transaction, batch: Batch) -> datetime | None:
    images = tx.tables.images
    oldest: datetime | None = tx.connection.execute(
        select(func.min(images.c.submitted_at)).where(
            in_scope(tx.tables, batch), has_status(images, *OPEN), images.c.status.in_(IN_FLIGHT)
        )
    ).scalar()
    return oldest


def _parts(tx: Transaction, batch: Batch) -> tuple[str, ...]:
    batches = tx.tables.batches.c
    parts = tx.connection.execute(
        select(batches.batch_id)
        .where(
            batches.dag_id == batch.origin.dag_id,
            batches.run_id == batch.origin.run_id,
            batches.dag_task_id == batch.origin.dag_task_id,
        )
        .order_by(batches.map_index, batches.batch_id)
        .limit(MOST_PARTS)
    ).scalars()
    return tuple(parts)


def _latest_end(tx: Transaction, batch: Batch) -> datetime | None:
    images = tx.tables.images.c
    latest: datetime | None = tx.connection.execute(
        select(images.ended_at)
        .where(in_scope(tx.tables, batch), images.ended_at >= batch.started_at)
        .order_by(images.ended_at.desc())
        .limit(1)
    ).scalar()
    return latest


def _pace(tx: Transaction, batch: Batch) -> Pace:
    images = tx.tables.images.c
    since = max(batch.started_at, tx.now - LATELY)
    ended: int = tx.connection.execute(
        select(func.count()).where(
            in_scope(tx.tables, batch), and_(images.ended_at >= since, images.status.not_in(OPEN))
        )
    ).scalar_one()
    return Pace(ended, (tx.now - since).total_seconds())


def _look_at(tx: Transaction, batch: Batch, account: AccountSettings) -> AccountLook:
    return AccountLook(
        account,
        read_account(tx, account.identity, batch.options.priority),
        spent_today_at_most(tx, account, MOST_OF_A_DAY),
        submissions_left(tx, batch, account),
        unproved(tx, batch, account),
    )
