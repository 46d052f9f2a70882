"""How much may still be paid for: the cap of a run and those of the account's day, counted from the bill.

The older part of a bill is not counted each time: see :mod:`~airflow_midjourney.describe.table.tallies`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from airflow_midjourney.describe.table.tallies import Payer, day_that_pays, move_on, paid, run_that_pays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.scope import Batch
    from airflow_midjourney.describe.table.database import Transaction


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
    if account.max_submissions_per_day is not None or account.max_cost_per_day is not None:
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


def _left_of_the_day(tx: Transaction, account: AccountSettings) -> list[int]:
    if account.max_submissions_per_day is None and account.max_cost_per_day is None:
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
