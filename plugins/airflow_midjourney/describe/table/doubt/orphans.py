"""Orphans: rows on their way of an account that no connection polls any more.

It got a new key, name or address. Connections of other accounts ask for them; one that finds their tasks polls them
from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, func, or_, select, true
from sqlalchemy.exc import IntegrityError

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import IN_FLIGHT, OPEN, Status
from airflow_midjourney.describe.table.accounts import account_row, lock_account, update_account
from airflow_midjourney.describe.table.batches import in_scope
from airflow_midjourney.describe.table.poll_schedule import poll_answered
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.transitions import DoubtMove
from airflow_midjourney.describe.table.updates import RowFacts, move_each, move_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from sqlalchemy import Table
    from sqlalchemy.sql.selectable import FromClause, Select

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds by which a poll is overdue when no connection seems to work on the account any more.
ORPHANED_AFTER: Final = 600.0

#: Seconds between two questions of one account's connections for orphans: a share of the time in which they were looked
#: for in vain, within bounds.
SHORTEST_GAP: Final = 15.0
LONGEST_GAP: Final = 600.0
GAP_SHARE: Final = 0.125

#: Seconds of the time between two answers that count as time in which orphans were looked for: what lies between two
#: daily runs does not.
COUNTED_GAP: Final = 3600.0

#: Seconds in which services were asked in vain until orphans are in doubt.
SOUGHT_FOR: Final = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Orphan:
    """A row on its way of an account that no connection polls.

    :param task_id: None while no answer to its submission is known.
    """

    id: int
    account: str
    submit_token: str
    task_id: str | None


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """An account by which images of a batch were sent, and which is not the batch's own.

    :param rows: images of the batch that are on their way there.
    :param is_orphaned: whether no connection polls it.
    :param seconds_left: for which they are looked for before they are in doubt, while services answer.
    """

    account: str
    rows: int
    is_orphaned: bool
    seconds_left: float


def may_be_sought(tx: Transaction, account: str) -> bool:
    """Say whether there are orphans, and it is time for this account's connections to ask for them."""
    accounts = tx.tables.accounts
    others = _orphaned(tx, account, accounts.alias("orphaned"))
    turn = select(accounts.c.account).where(accounts.c.account == account, _may_seek(tx), others.exists())
    return tx.connection.execute(turn).first() is not None


def take_turn(tx: Transaction, account: str) -> list[Orphan]:
    """Take this account's turn to ask for the orphans of all others.

    :return: all of them; none if another process has the turn.
    """
    accounts, images = tx.tables.accounts, tx.tables.images
    orphaned = accounts.alias("orphaned")
    others = _orphaned(tx, account, orphaned)
    longest = tx.connection.execute(
        select(func.max(orphaned.c.sought_for)).where(orphaned.c.account.in_(_orphaned(tx, account, accounts.alias())))
    ).scalar()
    gap = min(max((longest or 0.0) * GAP_SHARE, SHORTEST_GAP), LONGEST_GAP)
    taken = tx.connection.execute(
        accounts.update()
        .where(accounts.c.account == account, _may_seek(tx))
        .values(seeks_from=tx.now + timedelta(seconds=gap), updated_at=tx.now)
    )
    if not taken.rowcount:
        return []
    orphans = tx.connection.execute(
        select(images.c.id, images.c.account, images.c.submit_token, images.c.task_id, images.c.status)
        .where(images.c.account.in_(others), or_(has_status(images, *IN_FLIGHT), _is_undecided(images)))
        .order_by(images.c.id)
    )
    return [
        Orphan(row.id, row.account, row.submit_token, row.task_id if row.status == Status.SUBMITTED else None)
        for row in orphans
    ]


def take_over(tx: Transaction, account: str, submit_tokens: Collection[str]) -> set[str]:
    """Poll rows through this account's connections from now on: their service shows it the tasks.

    No timeout counts the time until now: nothing was polled in it.

    :return: the tokens of the rows.
    """
    images = tx.tables.images
    poll_answered(tx, account)
    found = tx.connection.execute(
        select(images.c.id, images.c.submit_token, images.c.submitted_at)
        .where(images.c.submit_token.in_(submit_tokens), has_status(images, *IN_FLIGHT), images.c.account != account)
        .order_by(images.c.id)
        .with_for_update()
    ).all()
    silence = account_row(tx, account)["silence"]
    move_each(tx, DoubtMove.TAKE_OVER, [_polled_from_now(tx, row, account, silence) for row in found])
    if found:
        update_account(tx, account, next_poll_at=tx.now)
    return {row.submit_token for row in found}


def note_sought(tx: Transaction, identities: Iterable[str]) -> None:
    """Record that a service was asked for the orphans of these accounts, and has answered."""
    for identity in sorted(identities):
        lock_account(tx, identity)
        row = account_row(tx, identity)
        gap = 0.0 if row["sought_at"] is None else (tx.now - row["sought_at"]).total_seconds()
        sought_for = (row["sought_for"] or 0.0) + min(max(gap, 0.0), COUNTED_GAP)
        update_account(tx, identity, sought_at=tx.now, sought_for=sought_for)


def doubt_unfound(tx: Transaction, account: str) -> int:
    """Turn the orphans of accounts into doubtful rows that services were asked about for a day in vain.

    :param account: that asks.
    :return: how many.
    """
    images, accounts = tx.tables.images, tx.tables.accounts.alias("orphaned")
    in_vain = _orphaned(tx, account, accounts).where(accounts.c.sought_for >= SOUGHT_FOR)
    detail = (
        "No connection asks any more about the account by which the image was sent, and no other has found its task in"
        " a day: it was billed, and may be described."
    )
    doubtful = move_rows(tx, DoubtMove.DOUBT_ORPHAN, images.c.account.in_(in_vain), detail=detail)
    if doubtful:
        tx.events.append(Event(EventKind.IN_DOUBT, rows=doubtful))
    unanswered = tx.connection.execute(
        select(images.c.submit_token).where(images.c.account.in_(in_vain), _is_undecided(images))
    ).scalars()
    move_rows(tx, DoubtMove.LEAVE_IN_DOUBT, held={"submit_token": list(unanswered)})
    return doubtful


def any_to_reclaim(tx: Transaction, account: str) -> bool:
    """Say whether rows of the account are in doubt only because no connection asked about it for a day."""
    return tx.connection.execute(_reclaimable(tx, account).limit(1)).first() is not None


def reclaim(tx: Transaction, account: str) -> int:
    """Wait for such rows again, now that the account has a connection that asks.

    :return: how many.
    """
    state = lock_account(tx, account)
    reclaimed = 0
    for row in tx.connection.execute(_reclaimable(tx, account)).all():
        try:
            with tx.connection.begin_nested():
                move_each(tx, DoubtMove.RECLAIM, [_polled_from_now(tx, row, account, state.silence)])
        except IntegrityError:
            # A twin is on the way by now, and both will share that answer.
            continue
        reclaimed += 1
    return reclaimed


def accounts_waited_for(tx: Transaction, batch: Batch, account: str | None) -> list[WaitedFor]:
    """Give the other accounts by which images of a batch are on their way.

    :param account: the batch's own; None where it is not known: then only accounts that no connection polls.
    """
    images, accounts = tx.tables.images, tx.tables.accounts
    found = tx.connection.execute(
        select(accounts.c.account, accounts.c.next_poll_at, accounts.c.sought_for, func.count().label("rows"))
        .join_from(images, accounts, accounts.c.account == images.c.account)
        .where(in_scope(tx.tables, batch), has_status(images, *OPEN), images.c.status.in_(IN_FLIGHT))
        .where(true() if account is None else images.c.account != account)
        .group_by(accounts.c.account)
        .order_by(accounts.c.account)
    )
    overdue = tx.now - timedelta(seconds=ORPHANED_AFTER)
    every = [
        WaitedFor(row.account, row.rows, row.next_poll_at < overdue, max(0.0, SOUGHT_FOR - (row.sought_for or 0.0)))
        for row in found
    ]
    return [one for one in every if one.is_orphaned or account is not None]


def _polled_from_now(tx: Transaction, row: Any, account: str, silence: float) -> RowFacts:
    submitted_at: datetime = row.submitted_at
    before = silence - (tx.now - submitted_at).total_seconds()
    facts = {"account": account, "silence_before": before}
    return RowFacts(row.id, facts, held={"submit_token": row.submit_token})


def _may_seek(tx: Transaction) -> ColumnElement[bool]:
    seeks_from = tx.tables.accounts.c.seeks_from
    return or_(seeks_from.is_(None), seeks_from <= tx.now)


def is_unpolled(tx: Transaction, accounts: FromClause) -> ColumnElement[bool]:
    """Give the condition that no connection polls an account any more, by all that is known."""
    return accounts.c.next_poll_at < tx.now - timedelta(seconds=ORPHANED_AFTER)


def _is_undecided(images: Table) -> ColumnElement[bool]:
    """Give the condition that a row is in doubt, and the service may still say what became of it."""
    return and_(has_status(images, Status.IN_DOUBT), images.c.doubt_checked_at.is_(None), images.c.shares_id.is_(None))


def _orphaned(tx: Transaction, account: str, accounts: FromClause) -> Select[Any]:
    """Give the query of the other accounts that have orphans.

    :param accounts: the table of accounts, under a name of the query's own.
    """
    images = tx.tables.images
    mine = select(images.c.id).where(images.c.account == accounts.c.account)
    waits = or_(mine.where(has_status(images, *IN_FLIGHT)).exists(), mine.where(_is_undecided(images)).exists())
    return select(accounts.c.account).where(accounts.c.account != account, is_unpolled(tx, accounts), waits)


def _reclaimable(tx: Transaction, account: str) -> Select[Any]:
    """Give the query of doubtful rows whose submission was accepted: nothing is unknown but what became of them."""
    images, submissions = tx.tables.images, tx.tables.submissions
    return (
        select(images.c.id, images.c.submit_token, images.c.submitted_at)
        .join_from(images, submissions, submissions.c.submit_token == images.c.submit_token)
        .where(
            images.c.account == account,
            has_status(images, Status.IN_DOUBT),
            images.c.shares_id.is_(None),
            images.c.submitted_at.is_not(None),
            submissions.c.outcome == Outcome.ACCEPTED,
            submissions.c.settled_at.is_(None),
        )
        .order_by(images.c.id)
    )
