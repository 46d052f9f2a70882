"""Answers that come after their row was given up: they were paid for, so they are still taken."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, or_, select

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.table.accounts import lock_account
from airflow_midjourney.describe.table.results import Prompted, RemoteTimes, write_prompts
from airflow_midjourney.describe.table.schema import GIVEN_UP, may_be_answered
from airflow_midjourney.describe.table.transitions import Move

if TYPE_CHECKING:
    from airflow_midjourney.describe.service.prompts import ParsedPrompts
    from airflow_midjourney.describe.table.database import Transaction

#: Hours for which a task that was given up is still asked about.
HOURS: Final = 24

#: Given-up tasks asked about in one poll: they ride along in the request for those in flight.
AT_ONCE: Final = 50


@dataclass(frozen=True, slots=True)
class GivenUp:
    """An accepted submission whose answer did not come in time, of a row that still has no prompts."""

    image_id: int
    task_id: str
    submit_token: str


def given_up(tx: Transaction, account: str) -> list[GivenUp]:
    """Give the account's latest submissions that may still be answered, of rows without prompts.

    They timed out or were lost, or were found to be accepted when their row had been given up or sent again.
    """
    images, submissions = tx.tables.images, tx.tables.submissions
    since = tx.now - timedelta(hours=HOURS)
    came_to_nothing = and_(submissions.c.settled_at >= since, submissions.c.reason.in_(GIVEN_UP))
    superseded = submissions.c.settled_at.is_(None)
    rows = tx.connection.execute(
        select(submissions.c.image_id, submissions.c.task_id, submissions.c.submit_token)
        .join_from(submissions, images, images.c.id == submissions.c.image_id)
        .where(
            submissions.c.account == account,
            submissions.c.outcome == Outcome.ACCEPTED,
            submissions.c.claimed_at >= since - timedelta(hours=2),
            may_be_answered(submissions),
            or_(came_to_nothing, superseded),
            Move.DESCRIBE_LATE.guard(tx),
        )
        .order_by(submissions.c.claimed_at.desc())
        .limit(AT_ONCE)
    )
    return [GivenUp(*row) for row in rows]


def given_up_by_twins(
    tx: Transaction, image_id: int, content_sha256: str, bot_type: str, account: str
) -> list[GivenUp]:
    """Give the tasks that other rows with the same bytes had last, and that may still be answered.

    :param image_id: the row that is about to be paid for.
    """
    images = tx.tables.images.c
    rows = tx.connection.execute(
        select(images.id, images.task_id, images.submit_token)
        .where(
            images.content_sha256 == content_sha256,
            images.bot_type == bot_type,
            images.id != image_id,
            images.account == account,
            or_(
                images.status == Status.PENDING,
                and_(images.status == Status.FAILED, images.reason.in_(GIVEN_UP)),
            ),
            images.task_id.is_not(None),
            images.shares_id.is_(None),
            images.updated_at >= tx.now - timedelta(hours=HOURS),
        )
        .order_by(images.id)
    )
    return [GivenUp(*row) for row in rows]


def answered_late(
    tx: Transaction, account: str, one: GivenUp, prompts: ParsedPrompts, raw: str, times: RemoteTimes
) -> bool:
    """Write prompts that came late. They turn a failed, pending or doubtful row into a succeeded one, and no other.

    Goes behind the account's lock, so that no claim of the same bytes is half way while the answer comes.

    :return: True if the row has its prompts by this.
    """
    lock_account(tx, account)
    images, submissions = tx.tables.images, tx.tables.submissions
    tx.connection.execute(
        submissions.update()
        .where(submissions.c.submit_token == one.submit_token)
        .values(result=Status.SUCCEEDED.value, reason=None, settled_at=tx.now)
    )
    waiting = select(images.c.id).where(images.c.id == one.image_id, Move.DESCRIBE_LATE.guard(tx)).with_for_update()
    if tx.connection.execute(waiting).first() is None:
        return False
    task = {"submit_token": one.submit_token, "task_id": one.task_id}
    write_prompts(tx, Move.DESCRIBE_LATE, [Prompted(one.image_id, prompts, raw, times, facts=task)])
    tx.events.append(Event(EventKind.SUCCEEDED))
    return True
