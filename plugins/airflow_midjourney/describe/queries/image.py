"""All that is known about one image: its versions, its prompts, and every submission that it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from airflow_midjourney.describe.model.batch import BatchOptions
from airflow_midjourney.describe.queries.owners import DagIds, belongs_to, was_sent_by
from airflow_midjourney.describe.storage.listed_images import ListedImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import RowMapping

    from airflow_midjourney.describe.table.database import Transaction

#: Versions and submissions that are shown, the latest first.
MOST_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Version:
    """One row of the same object: another version, or another bot."""

    id: int
    image_version: str
    bot_type: str
    status: str
    reason: str | None
    is_current: bool
    last_modified: datetime | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """That a person asked for the image to be described again."""

    asked_by: str
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """One row of the metadata table, and what belongs to it.

    :param row: its columns by name.
    :param versions: rows of the same object, this one among them.
    :param submissions: rows of the bill by name, the latest first.
    :param asked: who asked for its latest describe, if it was a person.
    :param twin: the row whose answer it shares, if that may be seen.
    """

    row: RowMapping
    versions: tuple[Version, ...]
    submissions: Sequence[RowMapping]
    asked: AskedAgain | None
    twin: int | None


@dataclass(frozen=True, slots=True)
class StoredObject:
    """Where the picture of a row is, and through which connections its batch reads it."""

    image: ListedImage
    options: BatchOptions


def look_at_image(tx: Transaction, image_id: int, dag_ids: DagIds) -> ImageDetails | None:
    """Look at one image, if it belongs to one of these DAGs; the same goes for all that belongs to it.

    :param dag_ids: the DAGs whose rows may be seen.
    :return: None if there is no such row, or it may not be seen.
    """
    images = tx.tables.images
    may_see = belongs_to(tx.tables, dag_ids)
    row = tx.connection.execute(select(images).where(images.c.id == image_id, may_see)).mappings().first()
    if row is None:
        return None
    names = Version.__slots__
    versions = tx.connection.execute(
        select(*(images.c[name] for name in names))
        .where(images.c.image_uri == row["image_uri"], may_see)
        .order_by(images.c.id.desc())
        .limit(MOST_SHOWN)
    )
    twin = select(images.c.id).where(images.c.id == row["shares_id"], may_see)
    return ImageDetails(
        row=row,
        versions=tuple(Version(*version) for version in versions),
        submissions=_submissions(tx, image_id, dag_ids),
        asked=_asked(tx, row["redescribed_by"]),
        twin=tx.connection.execute(twin).scalar(),
    )


def stored_object(tx: Transaction, image_id: int, dag_ids: DagIds) -> StoredObject | None:
    """Say where the picture of a row is, if the row belongs to one of these DAGs.

    :param dag_ids: the DAGs whose rows may be seen.
    :return: None if it may not be seen, or has no object that its batch could read.
    """
    images, batches = tx.tables.images.c, tx.tables.batches.c
    row = tx.connection.execute(
        select(images.bucket, images.key, images.etag, images.size_bytes, images.last_modified, batches.options)
        .join_from(tx.tables.images, tx.tables.batches, batches.batch_id == images.batch_id)
        .where(images.id == image_id, belongs_to(tx.tables, dag_ids), images.etag.is_not(None))
    ).first()
    if row is None:
        return None
    # Whether an archived object can be read, the read itself tells.
    image = ListedImage(row.bucket, row.key, row.etag, row.size_bytes, row.last_modified, restored=True)
    return StoredObject(image, BatchOptions.from_json(row.options))


def _submissions(tx: Transaction, image_id: int, dag_ids: DagIds) -> Sequence[RowMapping]:
    submissions = tx.tables.submissions
    return (
        tx.connection.execute(
            select(submissions)
            .where(submissions.c.image_id == image_id, was_sent_by(tx.tables, dag_ids))
            .order_by(submissions.c.id.desc())
            .limit(MOST_SHOWN)
        )
        .mappings()
        .all()
    )


def _asked(tx: Transaction, request_id: str | None) -> AskedAgain | None:
    requests = tx.tables.requests.c
    row = tx.connection.execute(
        select(requests.asked_by, requests.asked_at).where(requests.request_id == request_id)
    ).first()
    return None if row is None else AskedAgain(*row)
