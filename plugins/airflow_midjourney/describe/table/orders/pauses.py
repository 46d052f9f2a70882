"""Pausing and resuming accounts, written with who did it and when.

A pause holds until a person resumes the account: no retry, restart or later release lifts it. It is set behind the
lock that every claim takes, so no image is claimed after it; what was claimed before goes out and is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import false, true

from airflow_midjourney.describe.table.accounts import ensure_account

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.table.database import Transaction


@dataclass(frozen=True, slots=True)
class SeenPause:
    """A pause as it was shown to the person who resumes the account.

    :param paused_at: when the account was paused last, as the row had it; None where that is not known.
    """

    account: AccountSettings
    paused_at: datetime | None


def pause_accounts(tx: Transaction, accounts: Sequence[AccountSettings], paused_by: str) -> list[str]:
    """Pause accounts, also before their first use. One that is paused already stays as it is, with who paused it.

    :param paused_by: a user of Airflow, or a DAG run.
    :return: the accounts that were paused by this.
    """
    known = tx.tables.accounts.c
    for account in accounts:
        ensure_account(tx, account)
    rows = tx.connection.execute(
        tx.tables.accounts.update()
        .where(known.account.in_([account.identity for account in accounts]), known.paused == false())
        .values(paused=True, paused_by=paused_by, paused_at=tx.now, updated_at=tx.now)
        .returning(known.account)
    )
    return sorted(rows.scalars())


def resume_accounts(tx: Transaction, seen: Sequence[SeenPause], resumed_by: str) -> list[str]:
    """Let accounts go on whose pause is the one that was shown; one that was paused anew since stays paused.

    :param resumed_by: a user of Airflow, or a DAG run.
    :return: the accounts that go on because of this.
    """
    known = tx.tables.accounts.c
    resumed: list[str] = []
    for pause in seen:
        resumed += tx.connection.execute(
            tx.tables.accounts.update()
            .where(
                known.account == pause.account.identity,
                known.paused == true(),
                known.paused_at.is_not_distinct_from(pause.paused_at),
            )
            .values(paused=False, resumed_by=resumed_by, resumed_at=tx.now, updated_at=tx.now)
            .returning(known.account)
        ).scalars()
    return resumed
