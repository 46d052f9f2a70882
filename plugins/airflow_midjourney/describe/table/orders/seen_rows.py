"""What an order has seen of its rows: it is carried out on rows that are still the same (compare-and-set)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.table.database import Transaction

#: Hex digits that tell the submissions of one row apart. A page shows them instead of the token.
_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class SeenRow:
    """A row as it was shown to the person, or found by the listing, that orders something.

    :param submission: names its latest submission; None where it has none.
    """

    image_id: int
    status: str
    submission: str | None


def name_submission(submit_token: str | None) -> str | None:
    """Name a submission without giving its token away."""
    return None if submit_token is None else hashlib.sha256(submit_token.encode()).hexdigest()[:_DIGITS]


def still_the_same(tx: Transaction, seen: Sequence[SeenRow]) -> list[int]:
    """Give the rows that have not moved on since they were seen, and lock them for this transaction."""
    images = tx.tables.images.c
    rows = tx.connection.execute(
        select(images.id, images.status, images.submit_token)
        .where(images.id.in_([one.image_id for one in seen]))
        .order_by(images.id)
        .with_for_update()
    )
    known = set(seen)
    return [row.id for row in rows if SeenRow(row.id, row.status, name_submission(row.submit_token)) in known]
