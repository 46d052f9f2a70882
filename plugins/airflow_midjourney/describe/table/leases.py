"""Leases: a worker reserves rows to read their images, and gives back the rows that it does not send."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, or_, select

from airflow_midjourney.describe.model.events import Event, EventKind
from airflow_midjourney.describe.model.status import OPEN, Reason, Status
from airflow_midjourney.describe.table.batches import in_scope, left_over
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.transitions import LeaseMove
from airflow_midjourney.describe.table.updates import build_update, move_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds that a worker may take to read, check and encode an image before another may try.
LEASE: Final = 300.0

#: An image whose bytes so many workers held when they died is the reason that they died.
MOST_DEATHS: Final = 3


@dataclass(frozen=True, slots=True)
class ReservedImage:
    """A row that this worker alone may read and claim for a while.

    :param task_id: of the submission before, if that was taken and came to nothing.
    :param submit_token: of the same.
    :param reservations: workers in a row that died while they held its bytes.
    """

    id: int
    bucket: str
    key: str
    image_uri: str
    etag: str
    size_bytes: int
    last_modified: datetime
    storage_class: str
    task_id: str | None
    submit_token: str | None
    reservations: int = 0

    @property
    def is_suspected(self) -> bool:
        """Whether a worker has died that held its bytes, perhaps of them."""
        return self.reservations > 0


def is_claimable(tx: Transaction) -> ColumnElement[bool]:
    """Give the condition that a worker could reserve a row at this moment."""
    columns = tx.tables.images.c
    return and_(
        has_status(tx.tables.images, *OPEN),
        columns.status == Status.PENDING,
        columns.shares_id.is_(None),
        or_(columns.reserved_until.is_(None), columns.reserved_until < tx.now),
        or_(columns.not_before.is_(None), columns.not_before <= tx.now),
    )


def has_claimable(tx: Transaction, batch: Batch) -> bool:
    """Say whether a worker of the batch could reserve a row now."""
    query = select(tx.tables.images.c.id).where(in_scope(tx.tables, batch), is_claimable(tx)).limit(1)
    return tx.connection.execute(query).first() is not None


def reserve(tx: Transaction, batch: Batch, holder: str, limit: int) -> list[ReservedImage]:
    """Take up to ``limit`` pending rows of the batch for this worker. Holds no slot."""
    return _reserve(tx, in_scope(tx.tables, batch), holder, limit)


def reserve_left_over(
    tx: Transaction, batch: Batch, earlier: Sequence[str], holder: str, limit: int
) -> list[ReservedImage]:
    """Take rows that earlier runs of the batch's task left pending. Holds no slot.

    :param earlier: ids of the batches of those runs.
    """
    wanted = and_(left_over(tx.tables, batch), tx.tables.images.c.batch_id.in_(earlier))
    return _reserve(tx, wanted, holder, limit)


def _reserve(tx: Transaction, wanted: ColumnElement[bool], holder: str, limit: int) -> list[ReservedImage]:
    columns = tx.tables.images.c
    ids = _reject_unprocessable(tx, _apart(_free_rows(tx, wanted, limit)))
    taken = tx.connection.execute(
        build_update(
            tx,
            LeaseMove.RESERVE,
            columns.id.in_(ids),
            reserved_by=holder,
            reserved_until=tx.now + timedelta(seconds=LEASE),
        ).returning(*_reserved(tx))
    )
    return sorted((ReservedImage(*row) for row in taken), key=lambda row: row.id)


def find_unread(tx: Transaction, batch: Batch, limit: int) -> list[int]:
    """Give the rows that a worker of the batch could reserve next and that would only have to be read and sent.

    :return: their ids. What was sent or turned away before is not among them, nor what its worker may have died of.
    """
    columns = tx.tables.images.c
    plain = (columns.not_before.is_(None), columns.task_id.is_(None), columns.reservations == 0)
    query = select(columns.id).where(in_scope(tx.tables, batch), is_claimable(tx), *plain)
    return list(tx.connection.scalars(query.order_by(columns.id).limit(limit)))


def reserve_these(tx: Transaction, batch: Batch, ids: Sequence[int], holder: str) -> list[ReservedImage]:
    """Take those of some pending rows of the batch for this worker that it still may have. Holds no slot."""
    these = tx.tables.images.c.id.in_(ids)
    return _reserve(tx, and_(in_scope(tx.tables, batch), these), holder, len(ids))


def furthest_pending(tx: Transaction, batch: Batch, but: Sequence[int], limit: int) -> list[ReservedImage]:
    """Give pending rows that workers of the batch would come to last, reserved or not, without reserving them.

    :param but: ids of rows to leave out.
    """
    columns = tx.tables.images.c
    query = select(*_reserved(tx)).where(
        in_scope(tx.tables, batch),
        has_status(tx.tables.images, *OPEN),
        columns.status == Status.PENDING,
        columns.id.not_in(but),
    )
    return [ReservedImage(*row) for row in tx.connection.execute(query.order_by(columns.id.desc()).limit(limit))]


def _reserved(tx: Transaction) -> tuple[ColumnElement[Any], ...]:
    """Give the columns of :class:`ReservedImage`."""
    columns = tx.tables.images.c
    return tuple(columns[name] for name in ReservedImage.__slots__)


def _free_rows(tx: Transaction, wanted: ColumnElement[bool], limit: int) -> list[tuple[int, int]]:
    """Find rows to reserve: rows that were turned away before come last, so that they hold up no others.

    :return: ids, and how many workers died that held the bytes of each.
    """
    columns = tx.tables.images.c
    found: list[tuple[int, int]] = []
    for turn, order in (
        (columns.not_before.is_(None), columns.id),
        (columns.not_before.is_not(None), columns.not_before),
    ):
        if len(found) < limit:
            query = select(columns.id, columns.reservations).where(wanted, is_claimable(tx), turn).order_by(order)
            rows = tx.connection.execute(query.limit(limit - len(found)).with_for_update(skip_locked=True))
            found += [(row.id, row.reservations) for row in rows]
    return found


def _apart(found: list[tuple[int, int]]) -> dict[int, int]:
    """Keep rows apart that are suspected: such a row is read alone, so that no other dies with it.

    :param found: ids, and how many workers died that held the bytes of each.
    """
    unsuspected = {image_id: times for image_id, times in found if times == 0}
    return unsuspected or dict(found[:1])


def end_leases(tx: Transaction, earlier: str) -> int:
    """End the leases of workers that are most likely dead, so that no other worker waits for them to run out.

    A worker that lives after all may go on: it can claim its rows until another has reserved them.

    :param earlier: what the names of those workers begin with.
    :return: of how many rows.
    """
    images = tx.tables.images
    return move_rows(
        tx,
        LeaseMove.END_LEASE,
        has_status(images, *OPEN),
        images.c.reserved_by.startswith(earlier, autoescape=True),
        images.c.reserved_until > tx.now,
    )


def suspect(tx: Transaction, held: Sequence[ReservedImage], holder: str) -> None:
    """Count a death against reserved rows whose bytes their worker is about to decode, until it has survived that.

    A worker that is killed before, while the store, the service or the database hangs, has died of no image.
    """
    deaths: dict[int, list[int]] = defaultdict(list)
    for image in held:
        deaths[image.reservations + 1].append(image.id)
    for number, ids in deaths.items():
        these = tx.tables.images.c.id.in_(ids)
        move_rows(tx, LeaseMove.SUSPECT, these, held={"reserved_by": holder}, reservations=number)


def acquit(tx: Transaction, ids: Sequence[int], holder: str) -> None:
    """Say of reserved rows that their images were decoded: what their worker dies of after that is none of them."""
    move_rows(tx, LeaseMove.ACQUIT, tx.tables.images.c.id.in_(ids), held={"reserved_by": holder})


def release(tx: Transaction, ids: Sequence[int], holder: str) -> None:
    """Give reserved rows back unread or unsent."""
    move_rows(tx, LeaseMove.RELEASE, tx.tables.images.c.id.in_(ids), held={"reserved_by": holder})


def put_last(tx: Transaction, image_id: int, holder: str, pause: float) -> None:
    """Give a reserved row back that could not be read, to be tried again after all others.

    :param pause: seconds until then at least.
    """
    not_before = tx.now + timedelta(seconds=pause)
    this_one = tx.tables.images.c.id == image_id
    move_rows(tx, LeaseMove.POSTPONE, this_one, held={"reserved_by": holder}, not_before=not_before)


def reject(tx: Transaction, image_id: int, holder: str, reason: Reason, detail: str, reader: str) -> None:
    """Close a reserved row whose image cannot be sent."""
    facts = {"reason": reason.value, "detail": detail, "reader": reader}
    if move_rows(tx, LeaseMove.REJECT, tx.tables.images.c.id == image_id, held={"reserved_by": holder}, **facts):
        tx.events.append(Event(EventKind.REJECTED, reason=reason))


def _reject_unprocessable(tx: Transaction, found: dict[int, int]) -> list[int]:
    """Close rows whose workers died too often.

    :return: ids of the others.
    """
    deadly = [image_id for image_id, times in found.items() if times >= MOST_DEATHS]
    if not deadly:
        return list(found)
    rejected = move_rows(
        tx,
        LeaseMove.REJECT_UNPROCESSABLE,
        tx.tables.images.c.id.in_(deadly),
        reason=Reason.UNPROCESSABLE.value,
        detail=f"{MOST_DEATHS} workers died while they held this image to decode it.",
    )
    if rejected:
        tx.events.append(Event(EventKind.REJECTED, rejected, Reason.UNPROCESSABLE))
    return [image_id for image_id in found if image_id not in deadly]
