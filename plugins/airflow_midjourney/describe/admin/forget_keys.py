"""Taking erased keys out of the batches that named them one by one, or whose listing ended with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from airflow_midjourney.describe.model.status import IN_FLIGHT
from airflow_midjourney.describe.model.text import storable
from airflow_midjourney.describe.table.batches import to_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.model.batch import Batch, Scope
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Batches read in one transaction.
_BATCHES_AT_ONCE: Final = 200

#: What stands in a batch for a key that was erased.
_FORGOTTEN: Final = "erased-"


def forget_keys(database: Database, scope: Scope) -> None:
    """Take the keys of a scope whose rows are erased next out of all batches for its bucket and bot, each read once.

    Keys of rows that are on their way stay, as those rows do.
    """
    after: str | None = ""
    while after is not None:
        after = database.write_here(_forget_some, scope, after)


def _forget_some(tx: Transaction, scope: Scope, after: str) -> str | None:
    """Read the next batches.

    :return: the id of the last, None if there are no more.
    """
    batches = tx.tables.batches
    query = select(batches).where(
        batches.c.bucket == scope.bucket, batches.c.bot_type == scope.bot_type.value, batches.c.batch_id > after
    )
    rows = tx.connection.execute(query.order_by(batches.c.batch_id).limit(_BATCHES_AT_ONCE)).mappings().all()
    for batch in map(to_batch, rows):
        _forget(tx, scope, batch)
    return rows[-1]["batch_id"] if len(rows) == _BATCHES_AT_ONCE else None


def _forget(tx: Transaction, scope: Scope, batch: Batch) -> None:
    named, place = batch.scope.keys, batch.position.after
    is_over = batch.listing_ended_at is not None
    asked = {storable(key) for key in (*named, place if is_over else "") if key}
    concerned = sorted(key for key in asked if _holds(scope, key))
    gone = _with_rows_to_erase(tx, scope, concerned) if concerned else set()
    if not gone:
        return
    batches = tx.tables.batches
    tx.connection.execute(
        batches.update()
        .where(batches.c.batch_id == batch.batch_id)
        .values(
            keys=[f"{_FORGOTTEN}{number}" if storable(key) in gone else key for number, key in enumerate(named)],
            listing_after="" if is_over and storable(place) in gone else place,
            updated_at=tx.now,
        )
    )


def _holds(scope: Scope, key: str) -> bool:
    """Say whether a key is one of a scope, as the table stores both."""
    if scope.keys:
        return key in {storable(one) for one in scope.keys}
    return key.startswith(tuple(storable(prefix) for prefix in scope.prefixes))


def _with_rows_to_erase(tx: Transaction, scope: Scope, keys: Sequence[str]) -> set[str]:
    images = tx.tables.images.c
    query = select(images.key).where(
        images.bucket == scope.bucket,
        images.bot_type == scope.bot_type.value,
        images.key.in_(keys),
        images.status.not_in(IN_FLIGHT),
    )
    return set(tx.connection.execute(query).scalars())
