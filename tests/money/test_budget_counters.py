"""Caps count most of a bill once only; whatever happens, that comes to what the whole bill says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.table import accounts, budgets, claims, leases, submissions
from airflow_midjourney.describe.table.budgets import move_tallies_on, submissions_left
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.submissions import PostFacts, Taken
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.claims import Claim
    from airflow_midjourney.describe.table.database import Database, Transaction

PRICE = Decimal("0.05")
PAYING = replace(
    rows.ACCOUNT,
    price=PRICE,
    currency="USD",
    max_in_flight=1000,
    max_submissions_per_day=10_000,
    max_cost_per_day=Decimal(500),
)
CAPS: dict[str, Any] = {"max_submissions": 10_000, "max_cost": "500"}

#: What may become of a submission, at once or much later, also after something else was taken for granted.
ENDINGS = ("accepted", "together", "full", "refused", "ambiguous", "never_sent", "broken_off")

#: Minutes that may pass; a tally covers what is older than an hour, whatever has become of it.
PAUSES = (0, 10, 40, 90)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("claim"), st.integers(1, 6)),
        st.tuples(st.sampled_from(ENDINGS), st.integers(0, 20)),
        st.tuples(st.just("pass"), st.sampled_from(PAUSES)),
    ),
    min_size=4,
    max_size=30,
)


@pytest.fixture(autouse=True)
def _short_tails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets, "LONGEST_TAIL", 2)


def counted_from_the_bill(tx: Transaction) -> int:
    return sum(Outcome(entry["outcome"]).counts_as_paid for entry in rows.bill(tx))


def scopes(tx: Transaction) -> list[str]:
    return sorted(tx.connection.execute(select(tx.tables.tallies.c.scope)).scalars())


def forget_everything(tx: Transaction) -> None:
    for table in tx.tables.metadata.sorted_tables:
        if table is not tx.tables.meta:
            tx.connection.execute(delete(table))


class History:
    """Submissions of one run, and what becomes of them."""

    def __init__(self, tx: Transaction) -> None:
        self.batch: Batch = rows.open_batch(tx, **CAPS)
        self.tokens: list[str] = []
        self._keys = 0

    def step(self, tx: Transaction, name: str, number: int) -> None:
        if name == "claim":
            self.claim(tx, number)
        elif name == "pass":
            rows.let_time_pass(tx, timedelta(minutes=number))
        elif self.tokens:
            self.end(tx, name, self.tokens[number % len(self.tokens)])

    def claim(self, tx: Transaction, number: int) -> None:
        rows.list_images(tx, [rows.listed(f"{self._keys + one:04}.jpg") for one in range(number)])
        self._keys += number
        wanted = [rows.request(self.batch, row) for row in leases.reserve(tx, self.batch, "holder", number)]
        if not wanted:
            return
        results = claims.claim(tx, wanted, PAYING)
        self.tokens += [
            one.submit_token for one, result in zip(wanted, results, strict=True) if result is ClaimResult.CLAIMED
        ]

    def end(self, tx: Transaction, name: str, token: str) -> None:
        facts = PostFacts(200, 1)
        if name == "accepted":
            rows.accepted(tx, token, f"task-{token[:8]}", facts)
        elif name == "together":
            submissions.accepted(tx, [Taken(token, f"task-{token[:8]}", facts)])
        elif name == "refused":
            submissions.refused(tx, token, Reason.REFUSED, facts)
        elif name == "ambiguous":
            submissions.ambiguous(tx, token, facts)
        else:
            submissions.not_taken(tx, token, Outcome(name), facts)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=steps)
def test_tally_and_tail_are_the_bill_whatever_happens(database: Database, history: list[tuple[str, int]]) -> None:
    with database.writing() as tx:
        forget_everything(tx)
        run = History(tx)
        for name, number in history:
            run.step(tx, name, number)
            accounts.lock_account(tx, PAYING.identity)
            move_tallies_on(tx, run.batch, PAYING)
            paid = counted_from_the_bill(tx)

            assert budgets.paid(tx, budgets.run_that_pays(tx, run.batch.origin.cap_scope)) == (paid, paid * PRICE)


def test_a_long_bill_is_covered_by_its_tallies_but_for_what_may_change(database: Database) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 8)
        for token in (*run.tokens[:3], *run.tokens[4:]):
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        move_tallies_on(tx, run.batch, PAYING)
        covered = tx.connection.execute(select(tx.tables.tallies.c.scope, tx.tables.tallies.c.submissions)).all()

        assert sorted(row.submissions for row in covered) == [3, 3]
        assert submissions_left(tx, run.batch, PAYING) == 10_000 - 8


@pytest.mark.parametrize(("number", "covered"), [(1, False), (2, True)])
def test_a_tally_moves_on_once_as_many_submissions_are_counted_anew_as_may_be(
    database: Database, number: int, covered: bool
) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, number)
        for token in run.tokens:
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        move_tallies_on(tx, run.batch, PAYING)

        assert bool(scopes(tx)) == covered


NO_CAPS = {"max_submissions": None, "max_cost": None}
NO_CAPS_OF_THE_DAY = {"max_submissions_per_day": None, "max_cost_per_day": None}


@pytest.mark.parametrize(
    ("of_the_run", "of_the_day", "kinds", "left"),
    [
        ({}, {}, [], None),
        ({"max_submissions": 9}, {}, ["run"], 5),
        ({"max_cost": "0.5"}, {}, ["run"], 6),
        ({}, {"max_submissions_per_day": 9}, ["day"], 5),
        ({}, {"max_cost_per_day": Decimal("0.5")}, ["day"], 6),
    ],
)
def test_what_has_a_cap_has_a_tally_and_what_has_none_is_not_counted(
    database: Database, of_the_run: dict[str, Any], of_the_day: dict[str, Any], kinds: list[str], left: int | None
) -> None:
    account = replace(PAYING, **(NO_CAPS_OF_THE_DAY | of_the_day))
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 4)
        for token in run.tokens:
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        batch = rows.open_batch(tx, **(NO_CAPS | of_the_run))
        tx.connection.execute(delete(tx.tables.tallies))
        move_tallies_on(tx, batch, account)

        assert [scope.split()[0] for scope in scopes(tx)] == kinds
        assert submissions_left(tx, batch, account) == left


def test_a_no_that_turns_out_to_be_a_yes_counts_though_a_tally_has_passed_it(database: Database) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 4)
        submissions.not_taken(tx, run.tokens[0], Outcome.FULL, PostFacts(200, 23))
        for token in run.tokens[1:]:
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        move_tallies_on(tx, run.batch, PAYING)
        assert submissions_left(tx, run.batch, PAYING) == 10_000 - 3

        rows.accepted(tx, run.tokens[0], "late", PostFacts(200, 1))

        assert submissions_left(tx, run.batch, PAYING) == 10_000 - 4


def test_a_no_that_comes_after_more_than_an_hour_is_free_though_a_tally_has_passed_it(database: Database) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 4)
        for token in run.tokens[1:]:
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        rows.let_time_pass(tx, timedelta(minutes=90))
        move_tallies_on(tx, run.batch, PAYING)
        values = {"up_to_id": 1, "submissions": 1, "cost": 1, "updated_at": tx.now}
        tx.connection.execute(tx.tables.tallies.insert().values(scope="run of another DAG", **values))
        whole_run = budgets.run_that_pays(tx, run.batch.origin.cap_scope)
        assert budgets.paid(tx, whole_run) == (4, 4 * PRICE)

        submissions.not_taken(tx, run.tokens[0], Outcome.BROKEN_OFF, PostFacts())

        assert budgets.paid(tx, whole_run) == (3, 3 * PRICE)
        assert scopes(tx) == ["run of another DAG"]


def test_a_day_counts_what_is_paid_alone_and_nothing_of_the_day_before_whatever_its_number(database: Database) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 4)
        submissions.not_taken(tx, run.tokens[0], Outcome.FULL, PostFacts(200, 23))
        for token in run.tokens[1:]:
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        move_tallies_on(tx, run.batch, PAYING)
        run.claim(tx, 1)
        bill, late = tx.tables.submissions, rows.bill(tx)[-1]
        yesterday = bill.update().where(bill.c.id == late["id"]).values(claimed_at=tx.now - timedelta(days=1))
        tx.connection.execute(yesterday)

        assert budgets.paid(tx, budgets.day_that_pays(tx, PAYING.identity)) == (3, 3 * PRICE)


def test_a_day_begins_with_its_first_moment(database: Database) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 1)
        midnight = tx.now.replace(hour=0, minute=0, second=0, microsecond=0)
        tx.connection.execute(tx.tables.submissions.update().values(claimed_at=midnight))

        assert budgets.paid(tx, budgets.day_that_pays(tx, PAYING.identity)) == (1, PRICE)


@pytest.mark.parametrize("cap", [{"max_submissions": 2}, {"max_cost": "0.1"}])
def test_a_run_is_capped_once_it_has_paid_for_all_that_it_may(database: Database, cap: dict[str, Any]) -> None:
    with database.writing() as tx:
        run = History(tx)
        batch = rows.open_batch(tx, **(NO_CAPS | cap))
        found = []
        for _ in range(2):
            run.claim(tx, 1)
            found.append(budgets.run_is_capped(tx, batch, PAYING))

        assert found == [False, True]


def test_a_day_counts_nothing_of_the_day_before(database: Database) -> None:
    with database.writing() as tx:
        run = History(tx)
        run.claim(tx, 5)
        rows.let_time_pass(tx, timedelta(days=1))
        run.claim(tx, 3)
        for token in run.tokens:
            rows.accepted(tx, token, f"task-{token[:8]}", PostFacts(200, 1))
        move_tallies_on(tx, run.batch, PAYING)

        assert budgets.paid(tx, budgets.day_that_pays(tx, PAYING.identity)) == (3, 3 * PRICE)
        assert budgets.paid(tx, budgets.run_that_pays(tx, run.batch.origin.cap_scope)) == (8, 8 * PRICE)


@pytest.mark.parametrize("cap", [{"max_submissions": 1}, {"max_cost": "0.05"}])
def test_two_accounts_that_pay_for_one_run_wait_for_each_other(database: Database, cap: dict[str, Any]) -> None:
    """The map indexes of a task may use several accounts: the lock on an account is none for the run."""
    uncapped = replace(PAYING, **NO_CAPS_OF_THE_DAY)
    other = replace(uncapped, identity="https://service.example:443/another")
    with database.writing() as tx:
        rows.list_images(tx, [rows.listed("0.jpg"), rows.listed("1.jpg")])
        batch = rows.open_batch(tx, **cap)
        accounts.ensure_account(tx, other)
        first, second = (rows.request(batch, row) for row in leases.reserve(tx, batch, "holder", 2))

    def claim(wanted: Claim) -> ClaimResult:
        with database.writing() as tx:
            return rows.claim_alone(tx, wanted, other)

    with ThreadPoolExecutor(1) as threads:
        with database.writing() as tx:
            assert rows.claim_alone(tx, first, uncapped) is ClaimResult.CLAIMED
            waiting = threads.submit(claim, second)
            # Time in which it would be granted if it did not wait.
            assert not wait([waiting], timeout=0.3).done
        assert waiting.result(60) is ClaimResult.CAPPED
