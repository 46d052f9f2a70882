"""Rows that may have been taken and billed: which are unresolved, and what may be done about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select

from airflow_midjourney.describe.model.batch import BatchOptions
from airflow_midjourney.describe.model.outcome import TAKEN, Outcome
from airflow_midjourney.describe.model.status import OPEN, Status
from airflow_midjourney.describe.table import budgets
from airflow_midjourney.describe.table.accounts import lock_account
from airflow_midjourney.describe.table.batches import in_scope
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.transitions import DoubtMove
from airflow_midjourney.describe.table.updates import move_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Doubtful rows of one batch, and of one account in a UTC day, that may be paid for a second time: at least this many,
#: or this share of it.
FEWEST_RESUBMISSIONS: Final = 3
RESUBMISSION_SHARE: Final = 0.01

#: Accepted submissions that are looked for in the service's list, the latest before the doubtful one.
_WITNESSES: Final = 200


@dataclass(frozen=True, slots=True)
class Doubt:
    """A submission without an answer, of a row that waits until a process has found out.

    :param claimed_at: when its intent was committed.
    :param doubtful_for: seconds since it became doubtful.
    :param was_broken_off: its worker saw the POST fail; otherwise it died before it knew.
    :param absent_for: seconds since the service's list first lacked it; None if none has.
    """

    image_id: int
    image_uri: str
    submit_token: str
    claimed_at: datetime
    doubtful_for: float
    was_broken_off: bool
    absent_for: float | None = None


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Accepted submissions older than a doubtful one: if the service still lists one, its list reaches back far enough.

    :param submit_tokens: of the latest of them.
    """

    submit_tokens: frozenset[str]


def unresolved(tx: Transaction, account: str) -> list[Doubt]:
    """Give the account's doubtful rows that the service was not asked about yet."""
    images, submissions = tx.tables.images, tx.tables.submissions
    rows = tx.connection.execute(
        select(
            images.c.id,
            images.c.image_uri,
            images.c.submit_token,
            images.c.ended_at,
            images.c.absent_since,
            submissions.c.claimed_at,
            submissions.c.outcome,
        )
        .join_from(images, submissions, submissions.c.submit_token == images.c.submit_token)
        .where(
            images.c.account == account,
            has_status(images, Status.IN_DOUBT),
            images.c.doubt_checked_at.is_(None),
            images.c.shares_id.is_(None),
        )
        .order_by(images.c.id)
    )
    return [
        Doubt(
            row.id,
            row.image_uri,
            row.submit_token,
            row.claimed_at,
            doubtful_for=(tx.now - row.ended_at).total_seconds(),
            was_broken_off=row.outcome == Outcome.AMBIGUOUS,
            absent_for=None if row.absent_since is None else (tx.now - row.absent_since).total_seconds(),
        )
        for row in rows
    ]


def witnesses(tx: Transaction, account: str, doubt: Doubt) -> Witnesses:
    """Give the submissions that can testify for or against a doubtful one."""
    submissions = tx.tables.submissions.c
    tokens = tx.connection.execute(
        select(submissions.submit_token)
        .where(
            submissions.account == account,
            submissions.outcome.in_(TAKEN),
            submissions.answered_at < doubt.claimed_at,
        )
        .order_by(submissions.claimed_at.desc())
        .limit(_WITNESSES)
    ).scalars()
    return Witnesses(frozenset(tokens))


def claims_of_accepted(tx: Transaction, account: str) -> dict[str, datetime]:
    """Give when the latest accepted submissions were claimed, by their tokens: they show a wrong clock."""
    submissions = tx.tables.submissions.c
    rows = tx.connection.execute(
        select(submissions.submit_token, submissions.claimed_at)
        .where(submissions.account == account, submissions.outcome.in_(TAKEN))
        .order_by(submissions.claimed_at.desc())
        .limit(_WITNESSES)
    )
    return {row.submit_token: row.claimed_at for row in rows}


def note_absent(tx: Transaction, doubt: Doubt) -> None:
    """Record since when the service's list lacks a doubtful submission; one list may leave a task out by mistake."""
    first_time = tx.tables.images.c.absent_since.is_(None)
    move_rows(tx, DoubtMove.MISS_IN_LIST, first_time, held={"submit_token": doubt.submit_token})


def cannot_tell(tx: Transaction, doubt: Doubt) -> None:
    """Record that the service was asked and nothing follows from its answer."""
    move_rows(tx, DoubtMove.LEAVE_IN_DOUBT, held={"submit_token": doubt.submit_token})


def release_for_resubmission(tx: Transaction, batch: Batch, account: str) -> list[str]:
    """Let a bounded number of doubtful rows in the scope of a batch be sent, and perhaps billed, once more.

    Only rows whose own submission was for a batch that says ``resubmit``; at most once for the same bytes, ever; and at
    most the larger of three rows and one in a hundred, of the batch and of the account's UTC day.

    :return: the URIs of the images.
    """
    images = tx.tables.images
    candidates = (
        select(images.c.id, images.c.image_uri, images.c.content_sha256, images.c.submit_token)
        .where(
            in_scope(tx.tables, batch),
            has_status(images, Status.IN_DOUBT),
            images.c.account == account,
            images.c.doubt_checked_at.is_not(None),
            images.c.resubmitted_at.is_(None),
            images.c.shares_id.is_(None),
        )
        .order_by(images.c.id)
    )
    if tx.connection.execute(candidates.limit(1)).first() is None:
        return []
    lock_account(tx, account)
    left = min(_resubmissions_left(tx, batch), _resubmissions_left_today(tx, account))
    found = tx.connection.execute(candidates.with_for_update()).all()
    chosen = _once_for_the_bytes(tx, batch.scope.bot_type, _that_may_be_sent_again(tx, found))[:left]
    move_rows(tx, DoubtMove.RESUBMIT, images.c.id.in_([row.id for row in chosen]))
    return [row.image_uri for row in chosen]


def _that_may_be_sent_again(tx: Transaction, found: Sequence[Any]) -> list[Any]:
    """Give the rows whose sender said ``resubmit``: what another batch says is no leave to pay for them twice."""
    submissions, batches = tx.tables.submissions.c, tx.tables.batches.c
    sent = tx.connection.execute(
        select(submissions.submit_token, submissions.batch_id).where(
            submissions.submit_token.in_([row.submit_token for row in found]),
            # What was surely taken is in doubt only until a connection of its account polls again.
            submissions.outcome.not_in(TAKEN),
        )
    )
    senders = {row.submit_token: row.batch_id for row in sent}
    options = tx.connection.execute(
        select(batches.batch_id, batches.options).where(batches.batch_id.in_(set(senders.values())))
    )
    willing = {row.batch_id for row in options if BatchOptions.from_json(row.options).in_doubt == "resubmit"}
    return [row for row in found if senders.get(row.submit_token) in willing]


def _once_for_the_bytes(tx: Transaction, bot_type: str, found: Sequence[Any]) -> list[Any]:
    """Give one row for each of the bytes that were never sent a second time for want of an answer."""
    images = tx.tables.images.c
    digests = [row.content_sha256 for row in found]
    done = tx.connection.execute(
        select(images.content_sha256).where(
            images.content_sha256.in_(digests), images.bot_type == bot_type, images.resubmitted_at.is_not(None)
        )
    ).scalars()
    seen = set(done)
    first_of_each = {row.content_sha256: row for row in reversed(found) if row.content_sha256 not in seen}
    return sorted(first_of_each.values(), key=lambda row: row.id)


def _resubmissions_left_today(tx: Transaction, account: str) -> int:
    images = tx.tables.images
    midnight = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
    done = select(func.count()).where(images.c.account == account, images.c.resubmitted_at >= midnight)
    day = budgets.day_that_pays(tx, account)
    budgets.move_on(tx, day)
    paid, _ = budgets.paid(tx, day)
    most = most_resubmissions(paid)
    return max(0, most - tx.connection.execute(done).scalar_one())


def most_resubmissions(total: int) -> int:
    """Give how many of so many images may be paid for a second time for want of an answer."""
    return max(FEWEST_RESUBMISSIONS, int(total * RESUBMISSION_SHARE))


def _resubmissions_left(tx: Transaction, batch: Batch) -> int:
    images = tx.tables.images
    still_open, ended = has_status(images, *OPEN), images.c.ended_at >= batch.started_at
    resubmitted = images.c.resubmitted_at >= batch.started_at
    # What was sent again since the batch started is open, or has ended since.
    total = _count(tx, batch, still_open) + _count(tx, batch, ended)
    done = _count(tx, batch, still_open, resubmitted) + _count(tx, batch, ended, resubmitted)
    return max(0, most_resubmissions(total) - done)


def _count(tx: Transaction, batch: Batch, *conditions: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(tx.tables.images).where(in_scope(tx.tables, batch), *conditions)
    return tx.connection.execute(query).scalar_one()
