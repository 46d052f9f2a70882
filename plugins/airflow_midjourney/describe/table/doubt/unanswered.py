"""Submissions without an answer: which there are, and how soon they are looked for among the service's tasks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, func, select

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, Status
from airflow_midjourney.describe.table.batches import in_scope
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds without an answer after which each poll looks for a submission in the service's list of tasks.
LOOKED_FOR_AFTER: Final = 5.0

#: Hours after its claim for which a task that bears a submission's token is taken for it.
ADOPTED_FOR: Final = 24

#: Outcomes that a task in the service's list is news to; the service may have taken what seemed never sent.
_WITHOUT_A_TASK: Final = (Outcome.SENT, Outcome.AMBIGUOUS, Outcome.NEVER_SENT, Outcome.BROKEN_OFF)


@dataclass(frozen=True, slots=True)
class Unproved:
    """Images of a batch whose POST has had no answer, and of which it is not known whether the service took them.

    :param seconds_left: until that is known, or nothing can be known, at most.
    """

    images: int
    seconds_left: float


def is_unanswered(tx: Transaction) -> ColumnElement[bool]:
    """Give the condition that a row's submission should have had its answer by now. The claim was its last write."""
    images = tx.tables.images.c
    return and_(
        images.status == Status.SUBMITTING,
        images.updated_at <= tx.now - timedelta(seconds=LOOKED_FOR_AFTER),
    )


def expected_by(claimed_at: datetime) -> datetime:
    """Give when a submission should have had its answer, that was claimed at a moment."""
    return claimed_at + timedelta(seconds=LOOKED_FOR_AFTER)


def any_unanswered(tx: Transaction, account: str) -> bool:
    """Say whether a submission of the account should have had its answer by now."""
    images = tx.tables.images
    waiting = select(images.c.id).where(images.c.account == account, has_status(images, *IN_FLIGHT), is_unanswered(tx))
    return tx.connection.execute(waiting.limit(1)).first() is not None


def unproved(tx: Transaction, batch: Batch, account: AccountSettings) -> Unproved | None:
    """Say for how many images of a batch the service's list has to give a proof, and how long that takes at most.

    :return: None if there is none.
    """
    images = tx.tables.images
    undecided = and_(images.c.doubt_checked_at.is_(None), images.c.shares_id.is_(None))
    begun = func.coalesce(images.c.absent_since, images.c.in_doubt_after)
    mine = select(func.count(), func.max(begun)).where(in_scope(tx.tables, batch), images.c.account == account.identity)
    waiting = (
        mine.where(has_status(images, *OPEN), is_unanswered(tx)),
        mine.where(has_status(images, Status.IN_DOUBT), undecided),
    )
    found = [tx.connection.execute(query).one() for query in waiting]
    number = sum(one[0] for one in found)
    if not number:
        return None
    latest = max((one[1] for one in found if one[1] is not None), default=tx.now)
    return Unproved(number, max(0.0, (latest - tx.now).total_seconds() + account.absence_confirmed_after))


def unanswered(tx: Transaction, account: str) -> dict[str, datetime]:
    """Give the submissions of the account that should have had their answer by now: when each was claimed, by token."""
    images = tx.tables.images
    mine = (images.c.account == account, has_status(images, *IN_FLIGHT), is_unanswered(tx))
    rows = tx.connection.execute(select(images.c.submit_token, images.c.updated_at).where(*mine))
    return {row.submit_token: row.updated_at for row in rows}


def without_a_task(tx: Transaction, account: str) -> dict[str, datetime]:
    """Give the account's submissions of the last day of which the bill knows no task: when each was claimed, by token.

    Those of rows that have moved on are among them: the bill says what was paid, and a late answer is still taken.
    """
    submissions = tx.tables.submissions.c
    rows = tx.connection.execute(
        select(submissions.submit_token, submissions.claimed_at).where(
            submissions.account == account,
            submissions.claimed_at >= tx.now - timedelta(hours=ADOPTED_FOR),
            submissions.outcome.in_(_WITHOUT_A_TASK),
        )
    )
    return {row.submit_token: row.claimed_at for row in rows}
