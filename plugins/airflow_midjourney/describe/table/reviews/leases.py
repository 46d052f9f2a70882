"""Leases on images that reviewers have before them: taken, renewed and given back, each by the database's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import and_, exists, or_

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.table.database import Transaction

#: Seconds for which an image is a reviewer's, unless they come back to it.
REVIEW_LEASE: Final = 300.0


def take_leases(tx: Transaction, image_ids: Sequence[int], holder: str) -> set[int]:
    """Take or renew the lease on images that no other reviewer holds.

    :param holder: the reviewer's window.
    :return: the images that are the holder's now.
    """
    if not image_ids:
        return set()
    leases = tx.tables.review_leases
    until = tx.now + timedelta(seconds=REVIEW_LEASE)
    # In one order, so that two reviewers who want the same images never wait for each other.
    rows = [{"image_id": image_id, "holder": holder, "held_until": until} for image_id in sorted(set(image_ids))]
    insert = tx.insert(leases).values(rows)
    free = or_(leases.c.holder == holder, leases.c.held_until <= tx.now)
    taken = insert.on_conflict_do_update(
        index_elements=["image_id"], set_={"holder": holder, "held_until": until}, where=free
    )
    return set(tx.connection.execute(taken.returning(leases.c.image_id)).scalars())


def end_leases(tx: Transaction, image_ids: Sequence[int], holder: str) -> None:
    """Give images back that the holder has decided about, or leaves."""
    leases = tx.tables.review_leases
    tx.connection.execute(leases.delete().where(leases.c.image_id.in_(image_ids), leases.c.holder == holder))


def held_by_another(tx: Transaction, holder: str) -> ColumnElement[bool]:
    """Give the condition that another reviewer has an image of the metadata table before them."""
    images, leases = tx.tables.images, tx.tables.review_leases
    theirs = and_(leases.c.image_id == images.c.id, leases.c.held_until > tx.now, leases.c.holder != holder)
    return exists().where(theirs).correlate(images)
