"""The same bytes under two keys cost one POST: a row waits for its twin and shares what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select, true

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import CURABLE, IN_FLIGHT, Status
from airflow_midjourney.describe.table.schema import PROMPT_COLUMNS, SHARING, has_status

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.sql.selectable import Select

    from airflow_midjourney.describe.table.database import Transaction

#: What a shared answer consists of.
ANSWER_COLUMNS: Final = (
    *PROMPT_COLUMNS,
    "prompt_count",
    "prompt_raw",
    "aspect_ratio",
    "parser_version",
    "account",
    "task_id",
    "submitted_at",
    "started_at",
    "finished_at",
)

#: A doubtful twin may have been billed, so its bytes are not sent again under another key either.
_WORTH_SHARING: Final = (Status.SUCCEEDED, *IN_FLIGHT, Status.IN_DOUBT, Status.FAILED)

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
        select(columns.id, columns.status, *(columns[name] for name in ANSWER_COLUMNS))
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
        _update(tx, row.id, shares_id=twin.id, reserved_by=None, reserved_until=None, reservations=0)
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
            *(twin.c[name] for name in ANSWER_COLUMNS),
        )
        .join_from(images, twin, images.c.shares_id == twin.c.id)
        .where(images.c.shares_id.is_not(None), has_status(images, *SHARING), moved_on)
        .order_by(images.c.shares_id, images.c.id)
        .limit(_AT_ONCE)
        .with_for_update(of=images, skip_locked=True)
    )


def _resolve(tx: Transaction, row: Row[Any]) -> None:
    if row.twin_status == Status.SUCCEEDED:
        _copy_answer(tx, row.id, row.twin_id, row)
    elif row.twin_status in (Status.FAILED, Status.IN_DOUBT):
        _update(
            tx,
            row.id,
            status=row.twin_status,
            reason=row.reason,
            detail=f"Shares the bytes and the outcome of row {row.twin_id}: {row.detail or row.twin_status}",
            ended_at=tx.now,
        )
        tx.events.append(Event(EventKind(row.twin_status), reason=row.reason))
    else:
        # The twin is not on its way any more: the first of the two that is claimed is sent, and the
        # cost of the bytes so far counts for both.
        _update(
            tx,
            row.id,
            status=Status.PENDING.value,
            shares_id=None,
            attempts=max(row.attempts, row.twin_attempts),
            not_before=row.not_before,
            ended_at=None,
        )


def _copy_answer(tx: Transaction, image_id: int, twin_id: int, answer: Row[Any]) -> None:
    _update(
        tx,
        image_id,
        status=Status.SUCCEEDED.value,
        reason=None,
        detail=None,
        shares_id=twin_id,
        price=0,
        reserved_by=None,
        reserved_until=None,
        reservations=0,
        not_before=None,
        ended_at=tx.now,
        **{name: getattr(answer, name) for name in ANSWER_COLUMNS},
    )
    tx.events.extend((Event(EventKind.SUCCEEDED), Event(EventKind.SHARED)))


def _update(tx: Transaction, image_id: int, **values: Any) -> None:
    images = tx.tables.images
    tx.connection.execute(
        images.update().where(images.c.id == image_id, images.c.status.in_(SHARING)).values(updated_at=tx.now, **values)
    )
