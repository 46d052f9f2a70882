"""Submissions without an answer: which there are, and how soon they are looked for among the service's tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import ColumnElement, and_, select

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds without an answer after which each poll looks for a submission in the service's list of tasks.
LOOKED_FOR_AFTER: Final = 5.0

#: Hours after its claim for which a task that bears a submission's token is taken for it.
ADOPTED_FOR: Final = 24

#: Outcomes that a task in the service's list is news to; the service may have taken what seemed never sent.
_WITHOUT_A_TASK: Final = (Outcome.SENT, Outcome.AMBIGUOUS, Outcome.NEVER_SENT, Outcome.BROKEN_OFF)


def is_unanswered(tx: Transaction) -> ColumnElement[bool]:
    """Give the condition that a row's submission should have had its answer by now. The claim was its last write."""
    images = tx.tables.images.c
    return and_(
        images.status == Status.SUBMITTING,
        images.updated_at <= tx.now - timedelta(seconds=LOOKED_FOR_AFTER),
    )


def any_unanswered(tx: Transaction, account: str) -> bool:
    """Say whether a submission of the account should have had its answer by now."""
    images = tx.tables.images
    waiting = select(images.c.id).where(images.c.account == account, has_status(images, *IN_FLIGHT), is_unanswered(tx))
    return tx.connection.execute(waiting.limit(1)).first() is not None


def without_a_task(tx: Transaction, account: str) -> frozenset[str]:
    """Give the tokens of the account's submissions of the last day of which the bill knows no task.

    Those of rows that have moved on are among them: the bill says what was paid, and a late answer is still taken.
    """
    submissions = tx.tables.submissions.c
    tokens = tx.connection.execute(
        select(submissions.submit_token).where(
            submissions.account == account,
            submissions.claimed_at >= tx.now - timedelta(hours=ADOPTED_FOR),
            submissions.outcome.in_(_WITHOUT_A_TASK),
        )
    ).scalars()
    return frozenset(tokens)
