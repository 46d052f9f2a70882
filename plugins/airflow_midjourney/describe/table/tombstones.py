"""What is left of an erased image: two digests, so that it is not sent, and paid for, again by accident.

They are plain SHA-256, without a key. The first is over the URI *and* the version, the second over the digest of the
bytes: guessing names finds out nothing, it takes the very bytes (or their ETag).
A key would have to be kept beside the digests for as long as these, and losing it would mean paying again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.model.text import storable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_midjourney.describe.storage.listed_images import ListedImage
    from airflow_midjourney.describe.table.database import Transaction

#: What the digests begin with, where a URI, a key or a digest of bytes stood. No URI and no SHA-256 begins so.
MARK: Final = "erased:"

#: The bucket of an erased row. No bucket is called so, hence no scope holds such rows.
NO_BUCKET: Final = ""


def object_mark(image_uri: str, image_version: str, bot_type: str) -> str:
    """Give what stands for a version of an object."""
    return _mark("object", bot_type, image_uri, image_version)


def content_mark(content_sha256: str, bot_type: str) -> str:
    """Give what stands for the bytes of an image, whatever their key."""
    return _mark("content", bot_type, content_sha256)


def _mark(*parts: str) -> str:
    return MARK + hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()


def erased_versions(tx: Transaction, images: Iterable[ListedImage], bot_type: str) -> dict[tuple[str, str], int]:
    """Say which listed images were erased before: one look into an index for all of them.

    :return: URI and version of those, with the number of the row that says so.
    """
    marks = {}
    for image in images:
        uri, version = f"s3://{image.bucket}/{storable(image.key)}", storable(image.etag)
        marks[object_mark(uri, version, bot_type)] = (image.uri, image.etag)
    if not marks:
        return {}
    rows = tx.tables.images.c
    found = tx.connection.execute(
        select(rows.image_uri, rows.id).where(
            rows.image_uri.in_(list(marks)), rows.image_version == "", rows.bot_type == bot_type
        )
    )
    return {marks[row.image_uri]: row.id for row in found}


def was_erased(tx: Transaction, content_sha256: str, bot_type: str) -> bool:
    """Say whether an image with these bytes was erased."""
    rows = tx.tables.images.c
    query = select(rows.id).where(
        rows.content_sha256 == content_mark(content_sha256, bot_type), rows.bot_type == bot_type
    )
    return tx.connection.execute(query.limit(1)).first() is not None


def forget_erasures(tx: Transaction, ids: Sequence[int]) -> None:
    """Take back that images were erased, because a person wants them described on purpose."""
    images = tx.tables.images
    tx.connection.execute(images.delete().where(images.c.id.in_(ids), images.c.reason == Reason.ERASED))
