"""Who has paused and resumed which account, and which pause a person may lift."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.table.accounts import account_row, ensure_account, update_account
from airflow_midjourney.describe.table.orders import pauses
from airflow_midjourney.describe.table.orders.pauses import SeenPause
from tests.support import rows

if TYPE_CHECKING:
    from airflow_midjourney.describe.table.database import Database, Transaction

ONE, TWO, THREE = (replace(rows.ACCOUNT, identity=f"https://service.example:443/{name}") for name in ("1", "2", "3"))


def facts(tx: Transaction, *names: str) -> list[Any]:
    row = account_row(tx, ONE.identity)
    return [row[name] for name in names]


def test_accounts_are_paused_before_their_first_use_and_no_others(database: Database) -> None:
    with database.writing() as tx:
        ensure_account(tx, THREE)
        assert pauses.pause_accounts(tx, [TWO, ONE], "alice") == [ONE.identity, TWO.identity]

        assert facts(tx, "paused", "paused_by", "paused_at", "updated_at") == [True, "alice", tx.now, tx.now]
        assert facts(tx, "resumed_by", "resumed_at") == [None, None]
        assert not account_row(tx, THREE.identity)["paused"]


def test_one_that_is_paused_stays_as_it_is_with_who_paused_it(database: Database) -> None:
    with database.writing() as tx:
        pauses.pause_accounts(tx, [ONE], "alice")
        update_account(tx, ONE.identity, paused_at=rows.LONG_AGO)

        assert pauses.pause_accounts(tx, [ONE, TWO], "bob") == [TWO.identity]
        assert facts(tx, "paused_by", "paused_at") == ["alice", rows.LONG_AGO]


def test_a_pause_is_lifted_if_it_is_the_one_that_was_shown(database: Database) -> None:
    with database.writing() as tx:
        pauses.pause_accounts(tx, [ONE, TWO], "alice")
        rows.set_account(tx, updated_at=rows.LONG_AGO)
        other = account_row(tx, TWO.identity)
        for shown in (tx.now - timedelta(seconds=1), None):
            assert pauses.resume_accounts(tx, [SeenPause(ONE, shown)], "bob") == []
            assert facts(tx, "paused", "resumed_by") == [True, None]

        assert pauses.resume_accounts(tx, [SeenPause(THREE, tx.now), SeenPause(ONE, tx.now)], "bob") == [ONE.identity]
        assert facts(tx, "paused", "resumed_by", "resumed_at", "updated_at") == [False, "bob", tx.now, tx.now]
        assert facts(tx, "paused_by", "paused_at") == ["alice", tx.now]
        assert account_row(tx, TWO.identity) == other
        assert pauses.resume_accounts(tx, [SeenPause(ONE, tx.now)], "carol") == []


def test_a_pause_that_was_set_in_the_database_can_be_lifted_too(database: Database) -> None:
    with database.writing() as tx:
        ensure_account(tx, ONE)
        update_account(tx, ONE.identity, paused=True)

        assert pauses.resume_accounts(tx, [SeenPause(ONE, None)], "bob") == [ONE.identity]
        assert facts(tx, "paused", "resumed_by") == [False, "bob"]
