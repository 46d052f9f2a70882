"""The same bytes under two keys cost one POST: a row waits for its twin and shares what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select, true

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import CURABLE, IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import SHARING, has_status
from airflow_midjourney.describe.table.transitions import SHARED, DuplicateMove
from airflow_midjourney.describe.table.updates import move_rows

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.sql.selectable import Select

    from airflow_midjourney.describe.table.database import Transaction

#: A doubtful twin may have been billed, so its bytes are not sent again under another key either.
_WORTH_SHARING: Final = (Status.SUCCEEDED, *IN_FLIGHT, Status.IN_DOUBT, Status.FAILED)

#: What a row becomes whose twin has come to nothing.
_WITH_TWIN: Final = {Status.FAILED: DuplicateMove.FAIL_WITH_TWIN, Status.IN_DOUBT: DuplicateMove.DOUBT_WITH_TWIN}

#: Rows resolved in one transaction.
_AT_ONCE: Final = 500


def share_with_twin(tx: Transaction, row: Row[Any], content_sha256: str, started_at: datetime) -> bool:
    """Let a reserved row share what became of a row with the same bytes, if there is one.

    A row that is described again although it has prompts shares only what is newer than that request. A failure is
    shared if it is the image's own fault, or has come to pass since the batch started.

    :param row: the reserved row, whole.
    :param started_at: when the batch of the row started.
    :return: True if it shares an answer that is here, or waits for one that is on its way.
    """
    images = tx.tables.images
    columns = images.c
    twin = tx.connection.execute(
        select(columns.id, columns.status, *(columns[name] for name in SHARED))
        .where(
            columns.content_sha256 == content_sha256,
            columns.bot_type == row.bot_type,
            columns.id != row.id,
            columns.status.in_(_WORTH_SHARING),
            # One that waits itself, perhaps for this very row, has nothing to share.
            or_(columns.status == Status.SUCCEEDED, columns.shares_id.is_(None)),
            _is_new_enough(columns, row),
            _is_no_failure_of_the_past(columns, row, started_at),
        )
        .order_by(
            case((columns.status == Status.SUCCEEDED, 0), (columns.status == Status.FAILED, 2), else_=1), columns.id
        )
        .limit(1)
    ).first()
    if twin is None:
        return False
    if twin.status == Status.SUCCEEDED:
        _copy_answer(tx, row.id, twin.id, twin)
    else:
        move_rows(tx, DuplicateMove.SHARE, columns.id == row.id, shares_id=twin.id)
    return True


def _is_new_enough(columns: Any, row: Row[Any]) -> ColumnElement[bool]:
    if row.redescribed_at is None or row.prompt_count is None:
        return true()
    return or_(columns.status != Status.SUCCEEDED, columns.ended_at >= row.redescribed_at)


def _is_no_failure_of_the_past(columns: Any, row: Row[Any], started_at: datetime) -> ColumnElement[bool]:
    if row.redescribed_at is not None:
        return or_(columns.status != Status.FAILED, columns.ended_at >= row.redescribed_at)
    final = columns.reason.not_in(CURABLE)
    return or_(columns.status != Status.FAILED, final, columns.ended_at >= started_at)


def attempts_of_the_bytes(tx: Transaction, row: Row[Any], content_sha256: str) -> int:
    """Give how many POSTs the bytes of a row have cost that still wait for an answer: its own, or those of a twin.

    :param row: the reserved row, whole.
    """
    columns = tx.tables.images.c
    most: int | None = tx.connection.execute(
        select(func.max(columns.attempts)).where(
            columns.content_sha256 == content_sha256,
            columns.bot_type == row.bot_type,
            columns.status == Status.PENDING,
        )
    ).scalar()
    own: int = row.attempts
    return max(own, most or 0)


def resolve_shared(tx: Transaction) -> int:
    """Give every waiting row what became of its twin. Safe to run anywhere, at any time, twice.

    :return: how many rows moved.
    """
    waiting = tx.connection.execute(_resolvable(tx)).all()
    for row in waiting:
        _resolve(tx, row)
    return len(waiting)


def _resolvable(tx: Transaction) -> Select[Any]:
    images = tx.tables.images
    twin = images.alias("twin")
    moved_on = or_(
        and_(images.c.status == Status.PENDING, twin.c.status.not_in(IN_FLIGHT)),
        and_(images.c.status == Status.IN_DOUBT, twin.c.status != Status.IN_DOUBT),
    )
    return (
        select(
            images.c.id,
            images.c.attempts,
            twin.c.id.label("twin_id"),
            twin.c.status.label("twin_status"),
            twin.c.reason,
            twin.c.detail,
            twin.c.attempts.label("twin_attempts"),
            twin.c.not_before,
            *(twin.c[name] for name in SHARED),
        )
        .join_from(images, twin, images.c.shares_id == twin.c.id)
        .where(images.c.shares_id.is_not(None), has_status(images, *SHARING), moved_on)
        .order_by(images.c.shares_id, images.c.id)
        .limit(_AT_ONCE)
        .with_for_update(of=images, skip_locked=True)
    )


def _resolve(tx: Transaction, row: Row[Any]) -> None:
    this_one = tx.tables.images.c.id == row.id
    if row.twin_status == Status.SUCCEEDED:
        _copy_answer(tx, row.id, row.twin_id, row)
    elif row.twin_status in _WITH_TWIN:
        detail = f"Shares the bytes and the outcome of row {row.twin_id}: {row.detail or row.twin_status}"
        move_rows(tx, _WITH_TWIN[row.twin_status], this_one, reason=row.reason, detail=detail)
        tx.events.append(Event(EventKind(row.twin_status), reason=row.reason))
    else:
        # The twin is not on its way any more: the first of the two that is claimed is sent, and the
        # cost of the bytes so far counts for both.
        attempts = max(row.attempts, row.twin_attempts)
        move_rows(tx, DuplicateMove.LEAVE_TWIN, this_one, attempts=attempts, not_before=row.not_before)


def _copy_answer(tx: Transaction, image_id: int, twin_id: int, answer: Row[Any]) -> None:
    shared = {name: getattr(answer, name) for name in SHARED}
    move_rows(tx, DuplicateMove.COPY_ANSWER, tx.tables.images.c.id == image_id, shares_id=twin_id, **shared)
    tx.events.extend((Event(EventKind.SUCCEEDED), Event(EventKind.SHARED)))
