"""Rows of ``…_accounts``: the lock behind the slots, whose turn it is to poll, and the circuit breaker."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Select, Table, func, select

from airflow_midjourney.describe.model.account import PATIENCE_WITH_THE_SERVICE, AccountSettings
from airflow_midjourney.describe.model.batch import HIGHEST_PRIORITY
from airflow_midjourney.describe.model.status import IN_FLIGHT, Status
from airflow_midjourney.describe.table import callbacks
from airflow_midjourney.describe.table.doubt import unanswered
from airflow_midjourney.describe.table.precedence import slots_kept
from airflow_midjourney.describe.table.schema import has_status

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds to stay away when the service says no without saying for how long: first and longest.
FIRST_PAUSE: Final = 2.0

LONGEST_PAUSE: Final = 60.0

#: While the service has said no and not yes again, the whole account sends at most one POST in this time.
PROBE_INTERVAL: Final = 1.0

#: Seconds that a process has to find out whether the service can be read again, before another may try.
PROBE_LIMIT: Final = 15.0


@dataclass(frozen=True, slots=True)
class AccountState:
    """What every process knows of an account at one moment.

    :param in_flight: slots in use.
    :param silence: seconds in all in which the service answered no process.
    :param queued: of those in flight, images that the service has not begun with, as far as it says.
    :param called: whether a callback has come for one of them since it was last asked about.
    :param unanswered_from: from when on the first of them should have had the answer to its submission; None where
        each of them has it.
    :param calls_from: from when on either is reason enough for a poll.
    :param paused_by: who paused the account last, and when; it may be resumed since.
    :param resumed_by: who resumed it last, and when.
    :param kept: slots that are kept for batches of a higher priority than the one for which this was read.
    """

    now: datetime
    in_flight: int
    paused: bool
    blocked_until: datetime | None
    blocked_at: datetime | None
    blocked_reason: str | None
    submit_failing_since: datetime | None
    poll_failing_since: datetime | None
    poll_failed_at: datetime | None
    next_poll_at: datetime
    silence: float
    queued: int = 0
    called: bool = False
    unanswered_from: datetime | None = None
    calls_from: datetime | None = None
    paused_by: str | None = None
    paused_at: datetime | None = None
    resumed_by: str | None = None
    resumed_at: datetime | None = None
    kept: int = 0

    @property
    def pause(self) -> str:
        """By whom and since when the account is paused, in words; empty where it is not."""
        if not self.paused:
            return ""
        if self.paused_at is None or (self.resumed_at is not None and self.resumed_at > self.paused_at):
            return "by hand, in the database"
        return f"by {self.paused_by} since {self.paused_at:%Y-%m-%d %H:%M:%S} UTC"

    @property
    def is_blocked(self) -> bool:
        """Whether no process may submit now, slots or not: a person has paused it, or the circuit breaker is open."""
        return self.paused or (self.blocked_until is not None and self.blocked_until > self.now)

    def only_fails(self, tried_since: datetime) -> bool:
        """Say whether the service has done nothing but fail for longer than a run should wait.

        :param tried_since: failures before this moment do not count: every try has the same patience, or what
            stopped one would stop all that follow without a single request.
        """
        submits = (self.submit_failing_since, self.blocked_at)
        polls = (self.poll_failing_since, self.poll_failed_at)
        return any(
            first is not None
            and last is not None
            and (last - max(first, tried_since)).total_seconds() > PATIENCE_WITH_THE_SERVICE
            for first, last in (submits, polls)
        )

    def room(self, settings: AccountSettings) -> int:
        """Give how many images may be submitted at this moment; none outside the connection's hours."""
        if self.is_blocked or settings.opening(self.now) is not None:
            return 0
        return max(0, settings.max_in_flight - self.in_flight - self.kept)


def ensure_account(tx: Transaction, settings: AccountSettings) -> None:
    """Make the account's row if this is the first time it is used."""
    accounts = tx.tables.accounts
    tx.connection.execute(
        tx.insert(accounts)
        .values(
            account=settings.identity,
            paused=False,
            next_poll_at=tx.now,
            poll_interval=settings.poll_interval,
            silence=0.0,
            created_at=tx.now,
            updated_at=tx.now,
        )
        .on_conflict_do_nothing()
    )


def lock_account(tx: Transaction, identity: str, priority: int = HIGHEST_PRIORITY) -> AccountState:
    """Take the account's lock for this transaction: slots and caps are exact only behind it.

    :param priority: of the batch that wants slots.
    """
    accounts = tx.tables.accounts
    locked = _whole_row(accounts).where(accounts.c.account == identity).with_for_update()
    return _state(tx, tx.connection.execute(locked).mappings().one(), priority)


def has_account(tx: Transaction, identity: str) -> bool:
    """Say whether the account was ever used."""
    accounts = tx.tables.accounts.c
    return tx.connection.execute(select(accounts.account).where(accounts.account == identity)).first() is not None


def read_account(tx: Transaction, identity: str, priority: int = HIGHEST_PRIORITY) -> AccountState:
    """Give the account's state as last committed.

    :param priority: of the batch that wants slots.
    """
    return _state(tx, account_row(tx, identity), priority)


def _state(tx: Transaction, row: Any, priority: int) -> AccountState:
    images = tx.tables.images
    in_flight, begun, called, oldest_claim, kept = tx.connection.execute(
        select(
            func.count(),
            func.count(images.c.started_at),
            func.count().filter(callbacks.is_to_be_looked_at(images)),
            func.min(images.c.updated_at).filter(images.c.status == Status.SUBMITTING),
            slots_kept(tx, row["account"], priority),
        )
        .select_from(images)
        .where(images.c.account == row["account"], has_status(images, *IN_FLIGHT))
    ).one()
    return AccountState(
        now=tx.now,
        in_flight=in_flight,
        queued=in_flight - begun if begun else 0,
        paused=row["paused"],
        blocked_until=row["blocked_until"],
        blocked_at=row["blocked_at"],
        blocked_reason=row["blocked_reason"],
        submit_failing_since=row["submit_failing_since"],
        poll_failing_since=row["poll_failing_since"],
        poll_failed_at=row["poll_failed_at"],
        next_poll_at=row["next_poll_at"],
        silence=row["silence"],
        called=called > 0,
        unanswered_from=None if oldest_claim is None else unanswered.expected_by(oldest_claim),
        calls_from=row["calls_from"],
        kept=int(kept),
        **{name: row[name] for name in ("paused_by", "paused_at", "resumed_by", "resumed_at")},
    )


def close_breaker(tx: Transaction, identity: str, sent_at: datetime) -> None:
    """Close the circuit breaker: the service takes images.

    :param sent_at: when the image was claimed; a no that came after that still holds.
    """
    accounts = tx.tables.accounts
    tx.connection.execute(
        accounts.update()
        .where(
            accounts.c.account == identity,
            accounts.c.blocked_reason.is_not(None) | accounts.c.submit_failing_since.is_not(None),
            accounts.c.blocked_at.is_(None) | (accounts.c.blocked_at < sent_at),
        )
        .values(
            blocked_until=None, blocked_reason=None, blocked_since=None, submit_failing_since=None, updated_at=tx.now
        )
    )


def open_breaker(tx: Transaction, identity: str, reason: str, retry_after: float | None, *, failing: bool) -> None:
    """Open the circuit breaker for all processes: the service said no.

    Whatever the reason, the pause grows for as long as it says nothing else.

    :param reason: what it said, in a few words.
    :param failing: True where the service is not working, False where it is only full.
    """
    lock_account(tx, identity)
    row = account_row(tx, identity)
    failing_since = (row["submit_failing_since"] or tx.now) if failing else None
    # An earlier release that lifts the circuit breaker leaves the moment behind.
    blocked_since = (row["blocked_since"] or tx.now) if row["blocked_reason"] is not None else tx.now
    trouble_for = (tx.now - min(blocked_since, failing_since or tx.now)).total_seconds()
    until = tx.now + timedelta(seconds=pause_after_no(trouble_for, retry_after))
    if row["blocked_until"] is not None:
        until = max(until, row["blocked_until"])
    update_account(
        tx,
        identity,
        blocked_until=until,
        blocked_at=tx.now,
        blocked_reason=reason[:200],
        blocked_since=blocked_since,
        submit_failing_since=failing_since,
    )


def let_one_probe_pass(tx: Transaction, identity: str, state: AccountState) -> None:
    """After a no, send one POST at a time until the service says yes. Call it behind the account's lock."""
    if state.blocked_reason is not None:
        update_account(tx, identity, blocked_until=tx.now + timedelta(seconds=PROBE_INTERVAL))


def was_heard_since(tx: Transaction, identity: str, moment: datetime) -> bool:
    """Say whether the service has answered anything since a moment."""
    heard: datetime | None = account_row(tx, identity)["answered_at"]
    return heard is not None and heard >= moment


def take_probe_turn(tx: Transaction, identity: str) -> datetime | None:
    """Say whether this process may ask the service whether it is back: after a no, one at a time does.

    :return: until when no other may; None if it is not this one's turn.
    """
    state = lock_account(tx, identity)
    if state.is_blocked:
        return None
    until = tx.now + timedelta(seconds=PROBE_LIMIT)
    if state.blocked_reason is not None:
        update_account(tx, identity, blocked_until=until)
    return until


def end_probe_turn(tx: Transaction, identity: str, until: datetime) -> None:
    """Let the next image go out: the service can be read again. A no that came meanwhile still holds."""
    accounts = tx.tables.accounts
    tx.connection.execute(
        accounts.update()
        .where(accounts.c.account == identity, accounts.c.blocked_until == until)
        .values(blocked_until=tx.now, updated_at=tx.now)
    )


def account_row(tx: Transaction, identity: str) -> Any:
    """Give the row of an account, with all its columns."""
    accounts = tx.tables.accounts
    return tx.connection.execute(_whole_row(accounts).where(accounts.c.account == identity)).mappings().one()


def _whole_row(accounts: Table) -> Select[Any]:
    """Select all columns under the names that they have in the code."""
    return select(*(column.label(column.key) for column in accounts.columns))


def update_account(tx: Transaction, identity: str, **values: Any) -> None:
    """Write columns of the row of an account."""
    accounts = tx.tables.accounts
    tx.connection.execute(accounts.update().where(accounts.c.account == identity).values(updated_at=tx.now, **values))


def pause_after_no(seconds_failing: float, retry_after: float | None) -> float:
    """Give the seconds to stay away: longer the longer the service says no, and at least what it asked for."""
    grown = min(max(seconds_failing / 2, FIRST_PAUSE), LONGEST_PAUSE)
    if retry_after is not None:
        return min(max(retry_after, grown), LONGEST_PAUSE * 10)
    return grown * random.uniform(0.85, 1.15)  # noqa: S311
