"""Precedence: slots for which batches of a priority wait, and which batches of a lower one leave to them.

A batch says in its row for how many slots it waits, and its word lapses: a batch whose worker was killed, or whose run
is over, holds no other back for long.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, func, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ScalarSelect

    from airflow_midjourney.describe.table.database import Transaction

#: Seconds after which slots are no longer kept for a batch that no process has anything to do with.
LAPSES_AFTER: Final = 120.0


@dataclass(frozen=True, slots=True)
class Wait:
    """For how many slots of an account a batch waits.

    :param slots: 0 where it has no use for any.
    """

    batch_id: str
    account: str
    priority: int
    slots: int


def write_waits(tx: Transaction, waits: Sequence[Wait]) -> None:
    """Write down for how many slots batches wait, from now on for :data:`LAPSES_AFTER` seconds."""
    batches = tx.tables.batches
    until = tx.now + timedelta(seconds=LAPSES_AFTER)
    tx.connection.execute(
        batches.update()
        .where(batches.c.batch_id == bindparam("batch"))
        .values(
            waits_for_account=bindparam("account"),
            waits_with_priority=bindparam("priority"),
            waits_for_slots=bindparam("slots"),
            waits_until=bindparam("until"),
            updated_at=tx.now,
        ),
        [
            {
                "batch": wait.batch_id,
                "account": wait.account if wait.slots else None,
                "priority": wait.priority if wait.slots else None,
                "slots": wait.slots or None,
                "until": until if wait.slots else None,
            }
            for wait in waits
        ],
    )


def slots_kept(tx: Transaction, account: str, priority: int) -> ScalarSelect[int]:
    """Give the slots of an account for which batches of a higher priority wait, as part of another query."""
    batches = tx.tables.batches.c
    return (
        select(func.coalesce(func.sum(batches.waits_for_slots), 0))
        .where(
            batches.waits_for_account == account,
            batches.waits_with_priority > priority,
            batches.waits_until > tx.now,
        )
        .scalar_subquery()
    )
