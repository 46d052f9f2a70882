"""The bill by UTC day, account, DAG and bot: what was paid for, what came of it, and how long it took.

One query reads one day of the bill along its index by account and time, so a page of thirty days reads thirty days of
the bill, however many years there are. Today's totals of an account, over all DAGs, come from its tally.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, and_, case, func, literal, select

from airflow_midjourney.describe.model.outcome import UNDECIDED, Outcome
from airflow_midjourney.describe.model.status import Status
from airflow_midjourney.describe.queries.owners import DagIds, was_sent_by
from airflow_midjourney.describe.table.accounts import has_account
from airflow_midjourney.describe.table.batches import to_batch
from airflow_midjourney.describe.table.budgets import Spent, spent_today
from airflow_midjourney.describe.table.columns import SecondsBetween

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Row
    from sqlalchemy.sql.selectable import Select

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Transaction

#: Answers are counted by the first of these numbers of seconds within which they came; the last has all others, too.
WITHIN: Final = (15, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600, 7200, 86400)

#: Outcomes that cost something, or did until the service gave it back.
_TOLD: Final = tuple(outcome for outcome in Outcome if outcome.counts_as_paid or outcome is Outcome.REFUNDED)


@dataclass(frozen=True, slots=True)
class Waits:
    """How long answers took, from the end of the POST to the prompts in the table.

    :param within: answers by the first number of seconds of :data:`WITHIN` that they came within.
    """

    within: Counter[int] = field(default_factory=Counter)

    def quickest(self, share: float) -> int | None:
        """Give the seconds within which this share of the answers came; None if there are none."""
        wanted, seen = share * self.within.total(), 0
        for seconds in sorted(self.within):
            seen += self.within[seconds]
            if seen >= wanted:
                return seconds
        return None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a part of the bill comes to. Parts add up.

    :param paid: submissions that count as paid, as in the caps, undecided ones among them.
    :param perhaps: of these, submissions whose answer is not known.
    :param unpriced: of the paid ones, those for which the connection had no price.
    :param cost: what the paid ones cost.
    :param refunded: submissions whose money the service gave back; they are not among the paid ones.
    :param refunds: what these had cost.
    :param described: submissions that brought prompts.
    :param failed: paid or refunded submissions that brought none.
    """

    paid: int = 0
    perhaps: int = 0
    unpriced: int = 0
    cost: Decimal = Decimal(0)
    refunded: int = 0
    refunds: Decimal = Decimal(0)
    described: int = 0
    failed: int = 0
    waits: Waits = field(default_factory=Waits)

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            self.paid + other.paid,
            self.perhaps + other.perhaps,
            self.unpriced + other.unpriced,
            self.cost + other.cost,
            self.refunded + other.refunded,
            self.refunds + other.refunds,
            self.described + other.described,
            self.failed + other.failed,
            Waits(self.waits.within + other.waits.within),
        )


@dataclass(frozen=True, slots=True)
class SpendLine:
    """One line of the bill by day, account, DAG and bot.

    :param bot_type: None in the bill of older releases.
    :param currency: None where no price was set.
    :param newest: the number of the latest submission in it.
    """

    day: date
    account: str
    dag_id: str
    bot_type: str | None
    currency: str | None
    figures: Figures
    newest: int


@dataclass(frozen=True, slots=True)
class Today:
    """What an account has spent today, over all DAGs, beside what its connection allows."""

    settings: AccountSettings
    spent: Spent


def today_of(tx: Transaction) -> date:
    """Give the UTC day that it is, by the database's clock."""
    return tx.now.astimezone(UTC).date()


def days_until(last: date, number: int) -> list[date]:
    """Give so many UTC days that end with this one, in their order."""
    return [last - timedelta(days=back) for back in reversed(range(number))]


def spend_of_day(tx: Transaction, day: date, dag_ids: DagIds) -> list[SpendLine]:
    """Give the lines of one UTC day, of these DAGs only, in a fixed order."""
    accounts = list(tx.connection.execute(select(tx.tables.accounts.c.account)).scalars())
    lines: dict[tuple[str, ...], SpendLine] = {}
    for row in tx.connection.execute(_groups(tx, day, accounts, dag_ids)):
        line = _to_line(day, row)
        key = (line.account, line.dag_id, line.bot_type or "", line.currency or "")
        known = lines.get(key)
        lines[key] = line if known is None else _together(known, line)
    return [line for _, line in sorted(lines.items())]


def connections_of(tx: Transaction, lines: Iterable[SpendLine]) -> dict[str, str]:
    """Give the connection over which each account of these lines was used last."""
    newest: dict[str, int] = {}
    for line in lines:
        newest[line.account] = max(line.newest, newest.get(line.account, 0))
    bill, batches = tx.tables.submissions, tx.tables.batches
    used = tx.connection.execute(
        select(bill.c.account.label("payer"), batches)
        .join_from(bill, batches, batches.c.batch_id == bill.c.batch_id)
        .where(bill.c.id.in_(newest.values()))
    ).mappings()
    return {row["payer"]: to_batch(row).options.mj_conn_id for row in used}


def look_at_today(tx: Transaction, settings: AccountSettings) -> Today | None:
    """Give what an account has spent today; None if it was never used."""
    if not has_account(tx, settings.identity):
        return None
    return Today(settings, spent_today(tx, settings.identity))


def _groups(tx: Transaction, day: date, accounts: list[str], dag_ids: DagIds) -> Select[tuple[Any, ...]]:
    """Group a day of the bill; what an outcome means for the money is said in its own place, not here."""
    bill = tx.tables.submissions.c
    midnight = datetime.combine(day, time(), UTC)
    groups = (bill.account, bill.dag_id, bill.bot_type, bill.currency, bill.outcome, bill.result, _wait(tx))
    return (
        select(
            *groups,
            func.count().label("submissions"),
            func.count(bill.price).label("priced"),
            func.coalesce(func.sum(bill.price), 0).label("price"),
            func.max(bill.id).label("newest"),
        )
        .where(
            bill.account.in_(accounts),
            bill.claimed_at >= midnight,
            bill.claimed_at < midnight + timedelta(days=1),
            bill.outcome.in_(_TOLD),
            was_sent_by(tx.tables, dag_ids),
        )
        .group_by(*groups)
    )


def _wait(tx: Transaction) -> ColumnElement[int | None]:
    """Give the first of :data:`WITHIN` that an answer with prompts came within."""
    bill = tx.tables.submissions.c
    seconds = SecondsBetween(bill.answered_at, bill.settled_at)
    steps = case(*((seconds <= step, literal(step)) for step in WITHIN[:-1]), else_=literal(WITHIN[-1]))
    timed = and_(bill.result == Status.SUCCEEDED, bill.answered_at.is_not(None), bill.settled_at.is_not(None))
    return case((timed, steps), else_=None).label("wait")


def _to_line(day: date, row: Row[Any]) -> SpendLine:
    return SpendLine(day, row.account, row.dag_id, row.bot_type, row.currency, _figures(row), row.newest)


def _figures(row: Row[Any]) -> Figures:
    number, price = int(row.submissions), Decimal(row.price)
    described = number if row.result == Status.SUCCEEDED else 0
    failed = number if row.result == Status.FAILED else 0
    waits = Waits(Counter({} if row.wait is None else {int(row.wait): number}))
    if row.outcome == Outcome.REFUNDED:
        return Figures(refunded=number, refunds=price, described=described, failed=failed, waits=waits)
    return Figures(
        paid=number,
        perhaps=number if row.outcome in UNDECIDED else 0,
        unpriced=number - int(row.priced),
        cost=price,
        described=described,
        failed=failed,
        waits=waits,
    )


def _together(one: SpendLine, other: SpendLine) -> SpendLine:
    return replace(one, figures=one.figures + other.figures, newest=max(one.newest, other.newest))
