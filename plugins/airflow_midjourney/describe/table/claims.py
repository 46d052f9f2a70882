"""Reserving rows, and claiming one: the intent that is committed before anything is paid for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import and_, or_, select

from airflow_midjourney.describe.account import PATIENCE_WITH_THE_SERVICE
from airflow_midjourney.describe.observing import Event, EventKind
from airflow_midjourney.describe.status import OPEN, Reason, Status
from airflow_midjourney.describe.table.accounts import (
    AccountState,
    expect_first_answer,
    let_one_probe_pass,
    lock_account,
)
from airflow_midjourney.describe.table.batches import in_scope, left_over
from airflow_midjourney.describe.table.caps import lock_caps_of_run, submissions_left
from airflow_midjourney.describe.table.erasing import was_erased
from airflow_midjourney.describe.table.late_answers import GivenUp, given_up_by_twins
from airflow_midjourney.describe.table.schema import has_status
from airflow_midjourney.describe.table.sharing import attempts_of_the_bytes, share_with_twin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.scope import Batch, Origin
    from airflow_midjourney.describe.table.database import Transaction

#: Seconds that a worker may take to read, check and encode an image before another may try.
LEASE: Final = 300.0

#: Seconds until the former task of an image is asked about again when the service could not say.
POSTPONEMENT: Final = 15.0

#: A row whose workers died this often is the reason that they died.
MOST_RESERVATIONS: Final = 3


@dataclass(frozen=True, slots=True)
class ReservedImage:
    """A row that this worker alone may read and claim for a while.

    :param task_id: of the submission before, if that was taken and came to nothing.
    :param submit_token: of the same.
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


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What was learnt by reading the object; written with the claim."""

    content_sha256: str
    media_type: str
    width: int
    height: int
    version_id: str | None
    reader: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Who claims which row, for which batch, with which token.

    :param holder: the worker that reserved the row.
    :param submit_token: unguessable; travels to the service as ``state``.
    :param callback_digest: of the value that callbacks for this submission bear; None where none are asked for.
    :param asked: tokens of former submissions of the same bytes that the service was just asked about once more.
    """

    image_id: int
    holder: str
    submit_token: str
    batch: Batch
    origin: Origin
    content: ContentFacts
    asked: frozenset[str] = frozenset()
    callback_digest: str | None = None


class ClaimResult(StrEnum):
    """What became of a claim. A twin that another account is sending at this very moment is shared with later."""

    CLAIMED = "claimed"
    SHARED = "shared"
    ASK_FIRST = "ask_first"
    NO_ROOM = "no_room"
    CAPPED = "capped"
    LOST = "lost"
    ERASED = "erased"
    TWIN_AWAY = "twin_away"


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


def reserve(tx: Transaction, batch: Batch, holder: str, limit: int) -> list[ReservedImage]:
    """Take up to ``limit`` pending rows of the batch for this worker. Holds no slot."""
    return _reserve(tx, in_scope(tx.tables, batch), holder, limit)


def reserve_left_over(tx: Transaction, batch: Batch, holder: str, limit: int) -> list[ReservedImage]:
    """Take rows that earlier runs of the batch's task left pending. Holds no slot."""
    return _reserve(tx, left_over(tx.tables, batch), holder, limit)


def _reserve(tx: Transaction, wanted: ColumnElement[bool], holder: str, limit: int) -> list[ReservedImage]:
    images = tx.tables.images
    columns = images.c
    ids = _reject_unprocessable(tx, _apart(_free_rows(tx, wanted, limit)))
    taken = tx.connection.execute(
        images.update()
        .where(columns.id.in_(ids), columns.status == Status.PENDING)
        .values(
            reserved_by=holder,
            reserved_until=tx.now + timedelta(seconds=LEASE),
            reservations=columns.reservations + 1,
            updated_at=tx.now,
        )
        .returning(
            columns.id,
            columns.bucket,
            columns.key,
            columns.image_uri,
            columns.etag,
            columns.size_bytes,
            columns.last_modified,
            columns.storage_class,
            columns.task_id,
            columns.submit_token,
        )
    )
    return sorted((ReservedImage(*row) for row in taken), key=lambda row: row.id)


def _free_rows(tx: Transaction, wanted: ColumnElement[bool], limit: int) -> list[tuple[int, int]]:
    """Find rows to reserve: those that were turned away before come last, so that they hold up no others.

    :return: ids, and how often each was reserved without being sent.
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
    """Keep rows apart whose workers have died: such a row is read alone, so that no other dies with it.

    :param found: ids, and how often each was reserved without being sent.
    """
    unsuspected = {image_id: times for image_id, times in found if times == 0}
    return unsuspected or dict(found[:1])


def end_leases(tx: Transaction, earlier: str) -> int:
    """Let go of what workers have reserved that are most likely dead: nobody waits for their leases to run out.

    A worker that lives after all may go on: it can claim its rows until another has reserved them.

    :param earlier: what the names of those workers begin with.
    :return: of how many rows.
    """
    images = tx.tables.images
    columns = images.c
    result = tx.connection.execute(
        images.update()
        .where(
            has_status(images, *OPEN),
            columns.status == Status.PENDING,
            columns.reserved_by.startswith(earlier, autoescape=True),
            columns.reserved_until > tx.now,
        )
        .values(reserved_until=tx.now, updated_at=tx.now)
    )
    return result.rowcount


def release(tx: Transaction, ids: Sequence[int], holder: str) -> None:
    """Give reserved rows back unread or unsent."""
    images = tx.tables.images
    tx.connection.execute(
        images.update()
        .where(images.c.id.in_(ids), images.c.reserved_by == holder, images.c.status == Status.PENDING)
        .values(reserved_by=None, reserved_until=None, reservations=0, updated_at=tx.now)
    )


def postpone(tx: Transaction, image_id: int, holder: str, former_submission: str) -> bool:
    """Give a reserved row back while a former task of its bytes cannot be asked about; it is tried again later.

    :param former_submission: the submit token of that task.
    :return: False if that has been tried for long enough.
    """
    images, submissions = tx.tables.images, tx.tables.submissions
    recently = select(submissions.c.id).where(
        submissions.c.submit_token == former_submission,
        submissions.c.settled_at > tx.now - timedelta(seconds=PATIENCE_WITH_THE_SERVICE),
    )
    postponed = tx.connection.execute(
        images.update()
        .where(images.c.id == image_id, images.c.reserved_by == holder, recently.exists())
        .values(
            reserved_by=None,
            reserved_until=None,
            reservations=0,
            not_before=tx.now + timedelta(seconds=POSTPONEMENT),
            updated_at=tx.now,
        )
    )
    return postponed.rowcount == 1


def reject(tx: Transaction, image_id: int, holder: str, reason: Reason, detail: str, reader: str) -> None:
    """Close a reserved row whose image cannot be sent."""
    images = tx.tables.images
    rejected = tx.connection.execute(
        images.update()
        .where(images.c.id == image_id, images.c.reserved_by == holder, images.c.status == Status.PENDING)
        .values(
            status=Status.REJECTED.value,
            reason=reason.value,
            detail=detail,
            reader=reader,
            reserved_by=None,
            reserved_until=None,
            ended_at=tx.now,
            updated_at=tx.now,
        )
    )
    if rejected.rowcount:
        tx.events.append(Event(EventKind.REJECTED, reason=reason))


def claim(tx: Transaction, request: Claim, account: AccountSettings) -> ClaimResult:
    """Commit the intent to submit a reserved row, behind the account's lock.

    A claim whose commit went unheard can be repeated: its token tells it apart, and other results that were written
    have let go of the row.
    """
    state = lock_account(tx, account.identity)
    images = tx.tables.images
    row = tx.connection.execute(select(images).where(images.c.id == request.image_id).with_for_update()).one()
    if row.status == Status.SUBMITTING and row.submit_token == request.submit_token:
        return ClaimResult.CLAIMED
    if row.status != Status.PENDING or row.reserved_by != request.holder:
        return ClaimResult.LOST
    note_content(tx, request)
    if share_with_twin(tx, row, request.content.content_sha256, request.batch.started_at):
        return ClaimResult.SHARED
    if row.redescribed_at is None and was_erased(tx, request.content.content_sha256, row.bot_type):
        _reject_erased(tx, request)
        return ClaimResult.ERASED
    if unasked(tx, request, account.identity):
        return ClaimResult.ASK_FIRST
    if state.room(account.max_in_flight) == 0:
        return ClaimResult.NO_ROOM
    lock_caps_of_run(tx, request.batch)
    if submissions_left(tx, request.batch, account) == 0:
        return ClaimResult.CAPPED
    attempts = attempts_of_the_bytes(tx, row, request.content.content_sha256)
    _write_intent(tx, request, account, state, attempts + 1)
    return ClaimResult.CLAIMED


def _reject_erased(tx: Transaction, request: Claim) -> None:
    detail = (
        "An image with these bytes was erased from this table, so it is not sent again by accident. To describe it on"
        " purpose, run its prefix with redescribe='erased'."
    )
    reject(tx, request.image_id, request.holder, Reason.ERASED, detail, request.content.reader)


def unasked(tx: Transaction, request: Claim, account: str) -> list[GivenUp]:
    """Give tasks of the same bytes under other keys that came to nothing, and may have an answer by now."""
    former = given_up_by_twins(
        tx, request.image_id, request.content.content_sha256, request.batch.scope.bot_type, account
    )
    return [one for one in former if one.submit_token not in request.asked]


def _reject_unprocessable(tx: Transaction, found: dict[int, int]) -> list[int]:
    """Close rows whose workers died too often.

    :return: ids of the others.
    """
    images = tx.tables.images
    deadly = [image_id for image_id, times in found.items() if times >= MOST_RESERVATIONS]
    if not deadly:
        return list(found)
    rejected = tx.connection.execute(
        images.update()
        .where(images.c.id.in_(deadly), images.c.status == Status.PENDING)
        .values(
            status=Status.REJECTED.value,
            reason=Reason.UNPROCESSABLE.value,
            detail=f"{MOST_RESERVATIONS} workers died or gave up while they read this image.",
            reserved_by=None,
            reserved_until=None,
            ended_at=tx.now,
            updated_at=tx.now,
        )
    )
    if rejected.rowcount:
        tx.events.append(Event(EventKind.REJECTED, rejected.rowcount, Reason.UNPROCESSABLE))
    return [image_id for image_id in found if image_id not in deadly]


def note_content(tx: Transaction, request: Claim) -> None:
    """Keep what was learnt by reading a reserved row's object, whether it is claimed or not."""
    images = tx.tables.images
    tx.connection.execute(
        images.update().where(images.c.id == request.image_id).values(updated_at=tx.now, **content_values(request))
    )


def content_values(request: Claim) -> dict[str, Any]:
    """Give the columns that say what a row's bytes are, and who read them."""
    content = request.content
    return {
        "content_sha256": content.content_sha256,
        "media_type": content.media_type,
        "width": content.width,
        "height": content.height,
        "version_id": content.version_id,
        "reader": content.reader,
        "dag_id": request.origin.dag_id,
        "run_id": request.origin.run_id,
        "dag_task_id": request.origin.dag_task_id,
        "map_index": request.origin.map_index,
        "logical_date": request.origin.logical_date,
        "try_number": request.origin.try_number,
    }


def _write_intent(
    tx: Transaction, request: Claim, account: AccountSettings, state: AccountState, attempts: int
) -> None:
    images, submissions = tx.tables.images, tx.tables.submissions
    let_one_probe_pass(tx, account.identity, state)
    if state.in_flight == 0:
        expect_first_answer(tx, account)
    tx.connection.execute(
        images.update()
        .where(images.c.id == request.image_id)
        .values(attempts=attempts, **intent_values(tx, request, account, state))
    )
    tx.connection.execute(submissions.insert().values(**submission_values(tx, request, account)))


def intent_values(tx: Transaction, request: Claim, account: AccountSettings, state: AccountState) -> dict[str, Any]:
    """Give the columns of a row that is claimed, but for its attempts."""
    return {
        "status": Status.SUBMITTING.value,
        "reason": None,
        "detail": None,
        "submit_token": request.submit_token,
        "callback_digest": request.callback_digest,
        "called_at": None,
        "account": account.identity,
        "task_id": None,
        "max_attempts": request.batch.options.max_attempts,
        "in_doubt_after": tx.now + timedelta(seconds=account.doubt_after),
        "doubt_checked_at": None,
        "absent_since": None,
        "batch_id": request.batch.batch_id,
        "missing_since": None,
        "silence_before": state.silence,
        "submitted_at": None,
        "started_at": None,
        "finished_at": None,
        "ended_at": None,
        "reserved_by": None,
        "reserved_until": None,
        "reservations": 0,
        "not_before": None,
        "updated_at": tx.now,
    }


def submission_values(tx: Transaction, request: Claim, account: AccountSettings) -> dict[str, Any]:
    """Give the row of the bill for a claim."""
    return {
        "image_id": request.image_id,
        "submit_token": request.submit_token,
        "batch_id": request.batch.batch_id,
        "cap_scope": request.batch.origin.cap_scope,
        "account": account.identity,
        "outcome": "sent",
        "price": account.price,
        "currency": account.currency,
        "dag_id": request.origin.dag_id,
        "run_id": request.origin.run_id,
        "dag_task_id": request.origin.dag_task_id,
        "map_index": request.origin.map_index,
        "try_number": request.origin.try_number,
        "claimed_at": tx.now,
    }
