"""Rows of ``…_members``: which images a batch with a manifest has to do with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, literal, or_, select

from airflow_midjourney.describe.status import Status
from airflow_midjourney.describe.text import storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.images import ListedImage
    from airflow_midjourney.describe.scope import Batch
    from airflow_midjourney.describe.status import BotType
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.schema import Tables


def add_members(tx: Transaction, batch: Batch, keys: Sequence[str]) -> None:
    """Take the rows of a page of keys into the batch, once they are written; twice is the same.

    What had ended before the batch started, and stays so, is left out: the batch has nothing to do with it, and a
    million finished images that are listed every day would fill the table.
    """
    images, members = tx.tables.images.c, tx.tables.members
    concerned = or_(
        images.ended_at.is_(None), images.ended_at >= batch.started_at, images.status == Status.IN_DOUBT.value
    )
    rows = select(literal(batch.batch_id), images.id).where(
        images.bucket == batch.scope.bucket,
        images.bot_type == batch.scope.bot_type,
        images.key.in_([storable(key) for key in keys]),
        concerned,
    )
    tx.connection.execute(tx.insert(members).from_select(["batch_id", "image_id"], rows).on_conflict_do_nothing())


def forget_members(tx: Transaction, batch_id: str) -> None:
    """Empty a batch whose manifest is listed from the beginning."""
    members = tx.tables.members
    tx.connection.execute(members.delete().where(members.c.batch_id == batch_id))


def is_member(tables: Tables, batch_id: str) -> ColumnElement[bool]:
    """Give the condition that a row was listed by a batch's manifest.

    For each row that the other conditions leave, it is one look into an index; so the rows have to be few, and they
    are: those still open, and those that ended since the batch started.
    """
    members = tables.members.c
    wanted = select(members.image_id).where(members.batch_id == batch_id, members.image_id == tables.images.c.id)
    return wanted.correlate(tables.images).exists()


def disputed_keys(tx: Transaction, images: Sequence[ListedImage], bot_type: BotType) -> set[str]:
    """Give the keys of objects about which a manifest and the table do not agree, so that S3 has to be asked.

    A manifest may be days old. A version beside another one may be the older one, and what was rejected may have been
    replaced since.

    :param images: objects of one bucket.
    :return: their keys as the table stores them.
    """
    if not images:
        return set()
    rows = tx.tables.images.c
    etags = {storable(image.key): storable(image.etag) for image in images}
    query = select(rows.key, rows.image_version, rows.status).where(
        rows.bucket == images[0].bucket, rows.bot_type == bot_type, rows.key.in_(list(etags))
    )
    return {
        key
        for key, version, status in tx.connection.execute(query)
        if version != etags[key] or status == Status.REJECTED
    }
