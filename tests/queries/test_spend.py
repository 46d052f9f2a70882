"""The bill by day, account, DAG and bot adds up to the bill, and shows each reader the reader's own DAGs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import BotType, Reason
from airflow_midjourney.describe.queries.spend import (
    WITHIN,
    Figures,
    SpendLine,
    Waits,
    connections_of,
    days_until,
    look_at_today,
    spend_of_day,
)
from airflow_midjourney.describe.table import accounts, batches, results, submissions
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database, Transaction

PRICED = replace(rows.ACCOUNT, price=Decimal("0.05"), currency="USD")
REFUNDING = replace(PRICED, identity="https://gateway.example:443/team", refunds_failures=True)
UNPRICED = replace(rows.ACCOUNT, identity="https://cheap.example:443/me")
DAY = date(2026, 3, 4)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
EVERY_DAG = frozenset({"mine", "yours", "dag"})


def send(
    tx: Transaction,
    dag_id: str,
    images: int,
    account: AccountSettings = PRICED,
    bot_type: BotType = BotType.MID_JOURNEY,
    **options: Any,
) -> list[results.InFlight]:
    """Let a DAG send images of a prefix of its own."""
    accounts.ensure_account(tx, account)
    prefix = f"{dag_id}/{bot_type}/{account.identity[8:12]}/"
    scope = Scope(rows.BUCKET, (prefix,), bot_type=bot_type)
    batch = batches.open_batch(tx, scope, BatchOptions(**options), Origin(dag_id, f"run {prefix}", "submit"))
    keys = [f"{prefix}{number}" for number in range(images)]
    rows.list_images(tx, [rows.listed(key) for key in keys], bot_type=bot_type)
    return [rows.submit_next(tx, batch, task_id=key, body=key, account=account) for key in keys]


def bill_at(tx: Transaction, moment: datetime, seconds: float = 40, **where: Any) -> None:
    """Let submissions have been claimed at a moment, and answered so many seconds later."""
    bill = tx.tables.submissions
    answered = moment + timedelta(seconds=1)
    times = {"claimed_at": moment, "answered_at": answered, "settled_at": answered + timedelta(seconds=seconds)}
    tx.connection.execute(bill.update().where(*(bill.c[name] == value for name, value in where.items())).values(times))


def describe(tx: Transaction, sent: list[results.InFlight]) -> None:
    for one in sent:
        rows.described(tx, one, rows.four_prompts(), "raw", results.RemoteTimes())


def fail(tx: Transaction, sent: list[results.InFlight]) -> None:
    for one in sent:
        results.ended(tx, one, Reason.BANNED, "no", results.RemoteTimes(), "")


def told(line: SpendLine) -> tuple[Any, ...]:
    figures = line.figures
    return (line.account, line.dag_id, line.bot_type, line.currency, figures.paid, figures.cost, figures.described)


def test_a_day_is_told_by_account_dag_and_bot(database: Database) -> None:
    with database.writing() as tx:
        describe(tx, send(tx, "mine", 3)[:2])
        send(tx, "mine", 1, bot_type=BotType.NIJI_JOURNEY)
        send(tx, "yours", 2)
        describe(tx, send(tx, "mine", 1, UNPRICED))
        bill_at(tx, NOON)

        lines = spend_of_day(tx, DAY, EVERY_DAG)

    here, there = PRICED.identity, UNPRICED.identity
    assert [told(line) for line in lines] == [
        (there, "mine", "MID_JOURNEY", None, 1, Decimal(0), 1),
        (here, "mine", "MID_JOURNEY", "USD", 3, Decimal("0.15"), 2),
        (here, "mine", "NIJI_JOURNEY", "USD", 1, Decimal("0.05"), 0),
        (here, "yours", "MID_JOURNEY", "USD", 2, Decimal("0.10"), 0),
    ]
    assert [line.figures.unpriced for line in lines] == [1, 0, 0, 0]


def test_it_comes_to_what_the_bill_says_whatever_the_outcomes_were(database: Database) -> None:
    with database.writing() as tx:
        sent = send(tx, "mine", len(Outcome))
        bill = tx.tables.submissions
        for one, outcome in zip(sent, Outcome, strict=True):
            changed = bill.update().where(bill.c.submit_token == one.submit_token).values(outcome=outcome)
            tx.connection.execute(changed)
        bill_at(tx, NOON)

        (line,) = spend_of_day(tx, DAY, EVERY_DAG)

    paid = [outcome for outcome in Outcome if outcome.counts_as_paid]
    assert (line.figures.paid, line.figures.perhaps) == (len(paid), 2)
    assert line.figures.cost == len(paid) * Decimal("0.05")
    assert (line.figures.refunded, line.figures.refunds) == (1, Decimal("0.05"))


def test_what_the_service_gives_back_is_named_apart(database: Database) -> None:
    with database.writing() as tx:
        sent = send(tx, "mine", 5, REFUNDING)
        describe(tx, sent[:3])
        fail(tx, sent[3:])
        submissions.refund(tx, [one.submit_token for one in sent[3:]])
        bill_at(tx, NOON)

        (line,) = spend_of_day(tx, DAY, EVERY_DAG)

    figures = line.figures
    assert (figures.paid, figures.cost, figures.described) == (3, Decimal("0.15"), 3)
    assert (figures.refunded, figures.refunds, figures.failed) == (2, Decimal("0.10"), 2)


@pytest.mark.parametrize(
    ("dag_ids", "seen"),
    [({"mine"}, ["mine"]), ({"yours"}, ["yours"]), ({"mine", "yours"}, ["mine", "yours"]), (set(), []), ({"no"}, [])],
)
def test_a_reader_sees_the_readers_own_dags(database: Database, dag_ids: set[str], seen: list[str]) -> None:
    with database.writing() as tx:
        send(tx, "mine", 1)
        send(tx, "yours", 1)
        bill_at(tx, NOON)

        assert [line.dag_id for line in spend_of_day(tx, DAY, frozenset(dag_ids))] == seen


@pytest.mark.parametrize(
    ("claimed_at", "day"),
    [
        (datetime(2026, 3, 4, tzinfo=UTC), date(2026, 3, 4)),
        (datetime(2026, 3, 4, 23, 59, 59, 999_999, tzinfo=UTC), date(2026, 3, 4)),
        (datetime(2026, 3, 5, tzinfo=UTC), date(2026, 3, 5)),
    ],
)
def test_a_day_is_one_of_utc(database: Database, claimed_at: datetime, day: date) -> None:
    with database.writing() as tx:
        if tx.is_postgres:
            tx.connection.exec_driver_sql("SET LOCAL TIME ZONE 'Asia/Tokyo'")
        send(tx, "mine", 1)
        bill_at(tx, claimed_at)

        days = days_until(date(2026, 3, 6), 4)
        found = [one for one in days if spend_of_day(tx, one, EVERY_DAG)]

    assert days == [date(2026, 3, number) for number in (3, 4, 5, 6)]
    assert found == [day]


@pytest.mark.parametrize("step", WITHIN[:-1])
def test_a_wait_is_told_by_the_step_that_it_came_within(database: Database, step: int) -> None:
    with database.writing() as tx:
        describe(tx, send(tx, "mine", 1))
        bill_at(tx, NOON, step - 0.5)
        (before,) = spend_of_day(tx, DAY, EVERY_DAG)
        bill_at(tx, NOON, step + 0.5)
        (after,) = spend_of_day(tx, DAY, EVERY_DAG)

    assert before.figures.waits.within == Counter({step: 1})
    assert after.figures.waits.within == Counter({WITHIN[WITHIN.index(step) + 1]: 1})


def test_most_answers_came_within_what_is_said() -> None:
    waits = Waits(Counter({30: 9, 60: 9, 600: 2}))

    assert [waits.quickest(share) for share in (0.45, 0.5, 0.9, 0.95)] == [30, 60, 60, 600]
    assert Waits().quickest(0.5) is None


def test_an_image_that_failed_has_no_wait_and_figures_add_up(database: Database) -> None:
    with database.writing() as tx:
        fail(tx, send(tx, "mine", 2))
        describe(tx, send(tx, "yours", 3))
        bill_at(tx, NOON)

        lines = spend_of_day(tx, DAY, EVERY_DAG)

    whole = sum((line.figures for line in lines), Figures())
    assert (whole.paid, whole.cost, whole.failed, whole.described) == (5, Decimal("0.25"), 2, 3)
    assert whole.waits.within == Counter({45: 3})


def test_the_connection_of_an_account_is_the_one_that_was_used_last(database: Database) -> None:
    with database.writing() as tx:
        send(tx, "mine", 1, mj_conn_id="former")
        send(tx, "yours", 1, mj_conn_id="latest")
        send(tx, "mine", 1, UNPRICED, mj_conn_id="cheap")
        bill_at(tx, NOON)

        found = connections_of(tx, spend_of_day(tx, DAY, EVERY_DAG))

    assert found == {PRICED.identity: "latest", UNPRICED.identity: "cheap"}


def test_today_is_of_all_dags_and_nothing_is_known_of_an_account_that_sent_nothing(database: Database) -> None:
    with database.writing() as tx:
        send(tx, "mine", 2)
        send(tx, "yours", 1)

        today = look_at_today(tx, PRICED)
        assert today is not None
        assert (today.spent.submissions, today.spent.cost) == (3, Decimal("0.15"))
        assert look_at_today(tx, UNPRICED) is None
