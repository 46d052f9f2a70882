"""Claims of an account in the order of priorities: a lower one gets the slots that are left."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from airflow_midjourney.describe.table import accounts, batches, leases
from airflow_midjourney.describe.table.claims import ClaimResult
from airflow_midjourney.describe.table.precedence import LAPSES_AFTER, Wait, write_waits
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Of its twelve slots, all are free.
ACCOUNT = rows.ACCOUNT


def waits(tx: Transaction, batch: Batch, slots: int, account: str = ACCOUNT.identity) -> None:
    write_waits(tx, [Wait(batch.batch_id, account, batch.options.priority, slots)])


def room(tx: Transaction, priority: int) -> int:
    return accounts.read_account(tx, ACCOUNT.identity, priority).room(ACCOUNT)


def test_a_batch_yields_to_those_of_a_higher_priority_and_to_no_other(database: Database) -> None:
    with database.writing() as tx:
        for priority, slots in ((1, 2), (5, 3), (9, 4)):
            waits(tx, rows.open_batch(tx, run_id=f"{priority}", priority=priority), slots)

        assert [room(tx, priority) for priority in (0, 1, 2, 5, 8, 9, 10)] == [3, 5, 5, 8, 8, 12, 12]


def test_where_more_is_waited_for_than_there_is_no_slot_is_left(database: Database) -> None:
    with database.writing() as tx:
        for run in ("a", "b"):
            waits(tx, rows.open_batch(tx, run_id=run, priority=1), 12)

        assert (room(tx, 0), room(tx, 1)) == (0, 12)


def test_the_word_of_a_batch_lapses_unless_it_is_said_again(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx, priority=1)
        waits(tx, batch, 12)
        rows.let_time_pass(tx, timedelta(seconds=LAPSES_AFTER - 5))
        assert room(tx, 0) == 0
        waits(tx, batch, 12)
        rows.let_time_pass(tx, timedelta(seconds=LAPSES_AFTER - 5))
        assert room(tx, 0) == 0
        rows.let_time_pass(tx, timedelta(seconds=10))
        assert room(tx, 0) == 12


def test_a_batch_takes_its_word_back(database: Database) -> None:
    with database.writing() as tx:
        batch = rows.open_batch(tx, priority=1)
        waits(tx, batch, 12)
        said = batches.read_batch(tx, batch.batch_id)
        waits(tx, batch, 0)
        taken_back = batches.read_batch(tx, batch.batch_id)

        assert (said.waits_for_slots, said.waits_until) == (12, tx.now + timedelta(seconds=LAPSES_AFTER))
        assert (taken_back.waits_for_slots, taken_back.waits_until) == (0, None)
        assert room(tx, 0) == 12


def test_accounts_do_not_yield_to_each_other(database: Database) -> None:
    with database.writing() as tx:
        waits(tx, rows.open_batch(tx, priority=1), 12, account="another")

        assert room(tx, 0) == 12


@pytest.mark.parametrize(
    ("waiting", "results"),
    [
        (12, [ClaimResult.NO_ROOM] * 3),
        (10, [ClaimResult.CLAIMED, ClaimResult.CLAIMED, ClaimResult.NO_ROOM]),
        (0, [ClaimResult.CLAIMED] * 3),
    ],
)
def test_a_claim_takes_what_is_left(database: Database, waiting: int, results: list[ClaimResult]) -> None:
    with database.writing() as tx:
        higher = rows.open_batch(tx, run_id="higher", priority=1)
        waits(tx, higher, waiting)
        lower = rows.open_batch(tx, run_id="lower")
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(3)])

        assert [rows.claim_next(tx, lower)[0] for _ in range(3)] == results


def test_a_claim_of_bytes_that_are_known_yields_too(database: Database) -> None:
    with database.writing() as tx:
        waits(tx, rows.open_batch(tx, run_id="higher", priority=1), 12)
        lower = rows.open_batch(tx, run_id="lower")
        rows.list_images(tx, [rows.listed(f"{number}.jpg") for number in range(2)])
        first, second = leases.reserve(tx, lower, "holder", 2)
        # After a no, rows are claimed one by one.
        rows.set_account(tx, blocked_reason="queue full", blocked_until=tx.now - timedelta(seconds=1))
        assert rows.claim(tx, rows.request(lower, first)) is ClaimResult.NO_ROOM

        higher = replace(lower, options=replace(lower.options, priority=1))
        assert rows.claim(tx, rows.request(higher, second)) is ClaimResult.CLAIMED
