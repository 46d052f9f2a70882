"""Erasing images: rows become digests, the bill keeps its money. Conditional, and safe to repeat."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, func, not_, or_, select

from airflow_midjourney.describe.admin.forget_keys import forget_keys
from airflow_midjourney.describe.model.status import IN_FLIGHT, Reason, Status
from airflow_midjourney.describe.table.batches import scope_keys
from airflow_midjourney.describe.table.reviews.decisions import forget_reviews
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.tombstones import NO_BUCKET, content_mark, object_mark
from airflow_midjourney.describe.table.transitions import OrderMove
from airflow_midjourney.describe.table.updates import move_rows
from airflow_midjourney.describe.table.walks.key_order import KeyRange, RowCursor, key_ranges, on_the_way

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.table.database import Database, Transaction

#: Rows erased in one transaction.
ERASED_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Erased:
    """What one step erased.

    :param rows: versions of images.
    :param twins: described rows outside the scope that have the same bytes; they keep their prompts.
    :param last: where the step has ended.
    """

    rows: int
    twins: int
    last: RowCursor


def erase_some(
    tx: Transaction, scope: Scope, keys: KeyRange, after: RowCursor | None, but: Collection[str], erased_by: str
) -> Erased | None:
    """Erase the next rows of a scope that are not on their way: all versions, whatever their status.

    :param after: where the step before has ended.
    :param but: keys that are left for later: their rows were on their way when it was asked which batches name them.
    :param erased_by: which run; it stays in the row.
    :return: None if there are no more.
    """
    images = tx.tables.images
    rows = tx.connection.execute(
        select(images.c.id, images.c.key, images.c.image_uri, images.c.image_version, images.c.content_sha256)
        .where(on_the_way(tx.tables, scope, keys, after), images.c.status.not_in(IN_FLIGHT), images.c.key.not_in(but))
        .order_by(images.c.key, images.c.id)
        .limit(ERASED_AT_ONCE)
        .with_for_update()
    ).all()
    if not rows:
        return None
    twins = _twins(tx, scope, rows)
    for row in rows:
        _erase(tx, scope, row, erased_by)
    _erase_bill(tx, scope, rows)
    forget_reviews(tx, [row.id for row in rows])
    return Erased(len(rows), twins, RowCursor(rows[-1].key, rows[-1].id))


def keys_on_their_way(tx: Transaction, scope: Scope) -> list[str]:
    """Give the keys of the rows of a scope that the service has, or is being sent: they cannot be erased yet."""
    images = tx.tables.images
    query = select(images.c.key).where(_in_scope(tx, scope), has_status(images, *IN_FLIGHT))
    return list(tx.connection.execute(query).scalars())


def _in_scope(tx: Transaction, scope: Scope) -> ColumnElement[bool]:
    images = tx.tables.images.c
    return and_(images.bucket == scope.bucket, images.bot_type == scope.bot_type, scope_keys(tx.tables, scope))


def _twins(tx: Transaction, scope: Scope, rows: Sequence[Any]) -> int:
    images = tx.tables.images.c
    digests = {row.content_sha256 for row in rows if row.content_sha256}
    outside = or_(images.bucket != scope.bucket, not_(scope_keys(tx.tables, scope)))
    query = select(func.count()).where(
        images.content_sha256.in_(digests),
        images.bot_type == scope.bot_type,
        images.status == Status.SUCCEEDED,
        outside,
    )
    return tx.connection.execute(query).scalar_one()


def _erase(tx: Transaction, scope: Scope, row: Any, erased_by: str) -> None:
    """Leave nothing of a row but its marks."""
    images = tx.tables.images
    # A key without an object never had a version: its digest could be found by guessing names, and nothing needs it.
    version = row.image_version or secrets.token_hex(16)
    mark = object_mark(row.image_uri, version, scope.bot_type)
    tx.connection.execute(images.delete().where(images.c.image_uri == mark, images.c.bot_type == scope.bot_type))
    move_rows(
        tx,
        OrderMove.ERASE,
        images.c.id == row.id,
        image_uri=mark,
        bucket=NO_BUCKET,
        key=mark,
        image_version="",
        is_current=False,
        content_sha256=content_mark(row.content_sha256, scope.bot_type) if row.content_sha256 else None,
        reason=Reason.ERASED.value,
        detail=f"Erased by {erased_by}.",
    )


def _erase_bill(tx: Transaction, scope: Scope, rows: Sequence[Any]) -> None:
    """Keep what was paid, when, and by which run; drop the service's words, its number for the image and the bytes'."""
    submissions = tx.tables.submissions
    for row in rows:
        mark = content_mark(row.content_sha256, scope.bot_type) if row.content_sha256 else None
        tx.connection.execute(
            submissions.update()
            .where(submissions.c.image_id == row.id)
            .values(detail=None, task_id=None, content_sha256=mark)
        )


@dataclass(slots=True)
class ErasureReport:
    """What was erased, and what was not.

    :param erased: rows, one per version of an image and bot.
    :param twins: described rows outside the scope that have the same bytes, and keep their prompts.
    :param on_their_way: rows that the service has: they can be erased when it has answered.
    """

    erased: int = 0
    twins: int = 0
    on_their_way: int = 0

    def to_json(self) -> dict[str, int]:
        """Give plain values."""
        return asdict(self)


def erase(database: Database, scopes: Sequence[Scope], erased_by: str) -> ErasureReport:
    """Erase every row of some scopes that is not on its way. Killed and started again, it goes on.

    :param scopes: the same images, for one bot each.
    :param erased_by: which run asks; it stays in the rows.
    :raises TableError: if the database cannot be used.
    """
    report = ErasureReport()
    for scope in scopes:
        passed_over = set(database.read_here(keys_on_their_way, scope))
        _erase_all(database, scope, passed_over, erased_by, report)
        on_their_way = database.read_here(keys_on_their_way, scope)
        ended = sorted(passed_over - set(on_their_way))
        for start in range(0, len(ended), ERASED_AT_ONCE):
            these = replace(scope, prefixes=(), keys=tuple(ended[start : start + ERASED_AT_ONCE]))
            _erase_all(database, these, set(), erased_by, report)
        report.on_their_way += len(on_their_way)
    return report


def _erase_all(database: Database, scope: Scope, but: Collection[str], erased_by: str, report: ErasureReport) -> None:
    """Take the keys out of the batches first: once the rows are gone, nothing says which keys they had."""
    forget_keys(database, scope)
    for keys in key_ranges(scope):
        after: RowCursor | None = None
        while (step := database.write_here(erase_some, scope, keys, after, but, erased_by)) is not None:
            after = step.last
            report.erased += step.rows
            report.twins += step.twins
