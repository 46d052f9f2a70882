"""How much may still be paid for: the cap of a run and those of the account's day, counted from the bill.

The older part of a bill is not counted each time: see :mod:`~airflow_midjourney.describe.table.budgets`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, case, func, select

from airflow_midjourney.describe.model.outcome import FREE, UNDECIDED
from airflow_midjourney.describe.table.accounts import lock_account

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Submissions that are counted anew before the tally is moved on.
LONGEST_TAIL: Final = 1000


_STAYS_AFTER: Final = timedelta(hours=1)

#: A change this late may concern a submission that a tally covers.
_LATE_AFTER: Final = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Spent:
    """What was paid for, or may have been.

    :param cost: 0 where no price is set.
    """

    submissions: int
    cost: Decimal


def submissions_left(tx: Transaction, batch: Batch, account: AccountSettings) -> int | None:
    """Give how many POSTs may still be paid for; None where there is no cap. Exact behind the locks of account and run.

    A run is all map indexes and tries of a task in one DAG run; a day is a UTC day, over all runs.
    """
    lefts = [*_left_of_the_run(tx, batch, account), *_left_of_the_day(tx, account)]
    return max(0, min(lefts)) if lefts else None


def lock_caps_of_run(tx: Transaction, batch: Batch) -> None:
    """Let claims for one capped run wait for each other: its map indexes may use several accounts."""
    options = batch.options
    if tx.is_postgres and (options.max_submissions is not None or options.max_cost is not None):
        key = func.hashtextextended(batch.origin.cap_scope, 0)
        tx.connection.execute(select(func.pg_advisory_xact_lock(key)))


def move_tallies_on(tx: Transaction, batch: Batch, account: AccountSettings) -> None:
    """Keep what has to be counted for the caps short. Call it behind the locks of account and run only."""
    for payer in _payers_with_caps(tx, batch, account):
        move_on(tx, payer)


def run_is_capped(tx: Transaction, batch: Batch, account: AccountSettings) -> bool:
    """Say whether the run itself may not pay for more; waiting for tomorrow would not change that."""
    return any(left <= 0 for left in _left_of_the_run(tx, batch, account))


def _payers_with_caps(tx: Transaction, batch: Batch, account: AccountSettings) -> Iterator[Payer]:
    if batch.options.max_submissions is not None or batch.options.max_cost is not None:
        yield run_that_pays(tx, batch.origin.cap_scope)
    if account.has_cap_by_day:
        yield day_that_pays(tx, account.identity)


def _left_of_the_run(tx: Transaction, batch: Batch, account: AccountSettings) -> list[int]:
    options = batch.options
    if options.max_submissions is None and options.max_cost is None:
        return []
    number, cost = paid(tx, run_that_pays(tx, batch.origin.cap_scope))
    lefts = []
    if options.max_submissions is not None:
        lefts.append(options.max_submissions - number)
    if options.max_cost is not None:
        lefts.append(_affordable(Decimal(options.max_cost) - cost, account))
    return lefts


def spent_today(tx: Transaction, identity: str) -> Spent:
    """Give what an account has paid for in this UTC day, over all runs and DAGs."""
    return Spent(*paid(tx, day_that_pays(tx, identity)))


def spent_today_at_most(tx: Transaction, account: AccountSettings, submissions: int) -> Spent | None:
    """Give what an account has paid for in this UTC day; None where no cap keeps a tally of it, and its bill is long.

    :param submissions: that are not too many to be counted.
    """
    day, bill = day_that_pays(tx, account.identity), tx.tables.submissions.c
    if not account.has_cap_by_day:
        times = select(bill.claimed_at).where(*_beyond(tx, day, _Tally())).order_by(bill.claimed_at.desc())
        if tx.connection.execute(times.offset(submissions).limit(1)).first() is not None:
            return None
    return Spent(*paid(tx, day))


def _left_of_the_day(tx: Transaction, account: AccountSettings) -> list[int]:
    if not account.has_cap_by_day:
        return []
    spent = spent_today(tx, account.identity)
    lefts = []
    if account.max_submissions_per_day is not None:
        lefts.append(account.max_submissions_per_day - spent.submissions)
    if account.max_cost_per_day is not None:
        lefts.append(_affordable(account.max_cost_per_day - spent.cost, account))
    return lefts


def _affordable(money: Decimal, account: AccountSettings) -> int:
    """Give how many images the money is enough for. A cap without a price was refused before anything was sent."""
    if not account.price:
        return 0
    return int(money // account.price)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose bill is counted.

    :param scope: its name among the tallies.
    :param whose: the condition that a submission is the payer's.
    :param since: the moment from which on submissions count; None for all.
    """

    scope: str
    whose: ColumnElement[bool]
    since: datetime | None = None


def run_that_pays(tx: Transaction, cap_scope: str) -> Payer:
    """Give all map indexes and tries of a task in one DAG run."""
    return Payer(f"run {cap_scope}", tx.tables.submissions.c.cap_scope == cap_scope)


def day_that_pays(tx: Transaction, account: str) -> Payer:
    """Give an account's UTC day."""
    midnight = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
    return Payer(_name_of_day(midnight, account), tx.tables.submissions.c.account == account, midnight)


def paid(tx: Transaction, payer: Payer) -> tuple[int, Decimal]:
    """Count what has been paid for, or may have been. Exact behind the locks of account and run.

    :return: submissions, and what they cost.
    """
    tally = _tally(tx, payer)
    tail = _count(tx, payer, *_beyond(tx, payer, tally))
    return tally.submissions + tail.submissions, tally.cost + tail.cost


def move_on(tx: Transaction, payer: Payer) -> None:
    """Let the tally cover more of the bill, once the rest is long. Call it behind the locks of account and run only."""
    tally = _tally(tx, payer)
    beyond = _beyond(tx, payer, tally)
    if _count(tx, payer, *beyond).rows < LONGEST_TAIL:
        return
    submissions, tallies = tx.tables.submissions.c, tx.tables.tallies
    changing = (submissions.outcome.in_(UNDECIDED), submissions.claimed_at > tx.now - _STAYS_AFTER)
    first_changing: int | None = tx.connection.execute(
        select(func.min(submissions.id)).where(*beyond, *changing)
    ).scalar()
    last: int = tx.connection.execute(select(func.max(submissions.id)).where(*beyond)).scalar_one()
    end = last if first_changing is None else first_changing - 1
    covered = _count(tx, payer, *beyond, submissions.id <= end)
    values: dict[str, Any] = {
        "up_to_id": max(end, tally.up_to_id),
        "submissions": tally.submissions + covered.submissions,
        "cost": tally.cost + covered.cost,
        "updated_at": tx.now,
    }
    tx.connection.execute(
        tx.insert(tallies)
        .values(scope=payer.scope, **values)
        .on_conflict_do_update(index_elements=["scope"], set_=values)
    )


def before_a_change(tx: Transaction, submit_token: str) -> None:
    """Throw away the tallies that cover a submission whose outcome is about to change late, behind its account's lock.

    What changes soon after it was claimed is covered by none.
    """
    submissions, tallies = tx.tables.submissions.c, tx.tables.tallies
    row = tx.connection.execute(
        select(submissions.outcome, submissions.cap_scope, submissions.account, submissions.claimed_at).where(
            submissions.submit_token == submit_token
        )
    ).one()
    if row.outcome in UNDECIDED and row.claimed_at > tx.now - _LATE_AFTER:
        return
    lock_account(tx, row.account)
    scopes = (f"run {row.cap_scope}", _name_of_day(row.claimed_at, row.account))
    tx.connection.execute(tallies.delete().where(tallies.c.scope.in_(scopes)))


@dataclass(frozen=True, slots=True)
class _Tally:
    up_to_id: int = 0
    submissions: int = 0
    cost: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class _Tail:
    rows: int
    submissions: int
    cost: Decimal


def _tally(tx: Transaction, payer: Payer) -> _Tally:
    tallies = tx.tables.tallies
    row = tx.connection.execute(select(tallies).where(tallies.c.scope == payer.scope)).first()
    return _Tally() if row is None else _Tally(row.up_to_id, row.submissions, Decimal(row.cost))


def _name_of_day(moment: datetime, account: str) -> str:
    return f"day {moment.date().isoformat()} {account}"


def _beyond(tx: Transaction, payer: Payer, tally: _Tally) -> list[ColumnElement[bool]]:
    """Give the condition that a submission of the payer is not covered: each spelling has an index of its own."""
    submissions = tx.tables.submissions.c
    if tally.up_to_id:
        return [payer.whose, submissions.id > tally.up_to_id]
    return [payer.whose] if payer.since is None else [payer.whose, submissions.claimed_at >= payer.since]


def _count(tx: Transaction, payer: Payer, *which: ColumnElement[bool]) -> _Tail:
    submissions = tx.tables.submissions.c
    is_paid: ColumnElement[bool] = submissions.outcome.not_in(FREE)
    if payer.since is not None:
        is_paid = and_(is_paid, submissions.claimed_at >= payer.since)
    number = func.coalesce(func.sum(case((is_paid, 1), else_=0)), 0)
    cost = func.coalesce(func.sum(case((is_paid, submissions.price), else_=0)), 0)
    query = select(func.count(), number, cost).select_from(tx.tables.submissions).where(*which)
    row: Any = tx.connection.execute(query).one()
    return _Tail(row[0], int(row[1]), Decimal(row[2]))
