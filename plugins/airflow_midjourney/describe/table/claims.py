"""Claims: the intent to submit rows, committed before anything is paid for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from airflow_midjourney.describe.model.outcome import Outcome
from airflow_midjourney.describe.model.status import Reason, Status
from airflow_midjourney.describe.table.accounts import AccountState, let_one_probe_pass, lock_account
from airflow_midjourney.describe.table.budgets import lock_caps_of_run, move_tallies_on, submissions_left
from airflow_midjourney.describe.table.doubt.former_tasks import digests_without_result, unasked
from airflow_midjourney.describe.table.duplicates import attempts_of_the_bytes, share_with_twin
from airflow_midjourney.describe.table.leases import reject
from airflow_midjourney.describe.table.poll_schedule import expect_answer
from airflow_midjourney.describe.table.tombstones import content_mark, was_erased
from airflow_midjourney.describe.table.transitions import LeaseMove, SubmissionMove
from airflow_midjourney.describe.table.updates import RowFacts, move_each, move_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.model.batch import Batch, Origin
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.database import Transaction
    from airflow_midjourney.describe.table.leases import ReservedImage


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

    :param image: the row, as its worker has reserved it.
    :param holder: the worker that reserved it.
    :param submit_token: unguessable; travels to the service as ``state``.
    :param callback_digest: of the value that callbacks for this submission bear; None where none are asked for.
    :param asked: tokens of former submissions of the same bytes that the service was just asked about once more.
    """

    image: ReservedImage
    holder: str
    submit_token: str
    batch: Batch
    origin: Origin
    content: ContentFacts
    asked: frozenset[str] = frozenset()
    callback_digest: str | None = None

    @property
    def image_id(self) -> int:
        """The number of the row."""
        return self.image.id


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


def claim(tx: Transaction, requests: Sequence[Claim], account: AccountSettings) -> list[ClaimResult]:
    """Commit the intent to submit reserved rows of one batch, behind the account's lock, or none of them.

    Rows with bytes of their own are claimed by one statement each for images and bill; all others one by one, as are
    all while the service has said no. A claim whose commit went unheard can be repeated: its token tells it apart, and
    any other result has let go of the row.

    :return: what became of each, in their order.
    """
    state = lock_account(tx, account.identity, requests[0].batch.options.priority)
    simple = {} if state.blocked_reason is not None else _simple_ones(tx, requests)
    together = [request for request in requests if request.image_id in simple]
    claimed = _claim_simple(tx, together, simple, account, state)
    results = dict(zip((one.image_id for one in together), claimed, strict=True))
    for request in requests:
        if request.image_id not in simple:
            results[request.image_id] = _claim_one(tx, request, account)
    return [results[request.image_id] for request in requests]


def _claim_one(tx: Transaction, request: Claim, account: AccountSettings) -> ClaimResult:
    """Claim a row whose bytes another row has too, or had once, or while the service has said no."""
    state = lock_account(tx, account.identity, request.batch.options.priority)
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
    if unasked(tx, request):
        return ClaimResult.ASK_FIRST
    if state.room(account) == 0:
        return ClaimResult.NO_ROOM
    lock_caps_of_run(tx, request.batch)
    if submissions_left(tx, request.batch, account) == 0:
        return ClaimResult.CAPPED
    attempts = attempts_of_the_bytes(tx, row, request.content.content_sha256)
    let_one_probe_pass(tx, account.identity, state)
    _write_intents(tx, [Intent(request, attempts + 1)], account, state)
    return ClaimResult.CLAIMED


def _reject_erased(tx: Transaction, request: Claim) -> None:
    detail = (
        "An image with these bytes was erased from this table, so it is not sent again by accident. To describe it on"
        " purpose, run its prefix with redescribe='erased'."
    )
    reject(tx, request.image_id, request.holder, Reason.ERASED, detail, request.content.reader)


def note_content(tx: Transaction, request: Claim) -> None:
    """Keep what was learnt by reading a reserved row's object, whether it is claimed or not."""
    this_one = tx.tables.images.c.id == request.image_id
    move_rows(tx, LeaseMove.READ, this_one, held={"reserved_by": request.holder}, **content_values(request))


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


def intent_values(tx: Transaction, request: Claim, account: AccountSettings, state: AccountState) -> dict[str, Any]:
    """Give the columns that a claim brings, but for the attempts."""
    return content_values(request) | {
        "submit_token": request.submit_token,
        "callback_digest": request.callback_digest,
        "account": account.identity,
        "batch_id": request.batch.batch_id,
        "max_attempts": request.batch.options.max_attempts,
        "in_doubt_after": tx.now + timedelta(seconds=account.doubt_after),
        "silence_before": state.silence,
    }


def submission_values(tx: Transaction, request: Claim, account: AccountSettings) -> dict[str, Any]:
    """Give the row of the bill for a claim."""
    return {
        "image_id": request.image_id,
        "submit_token": request.submit_token,
        "content_sha256": request.content.content_sha256,
        "bot_type": request.batch.scope.bot_type.value,
        "batch_id": request.batch.batch_id,
        "cap_scope": request.batch.origin.cap_scope,
        "account": account.identity,
        "outcome": Outcome.SENT.value,
        "price": account.price,
        "currency": account.currency,
        "dag_id": request.origin.dag_id,
        "run_id": request.origin.run_id,
        "dag_task_id": request.origin.dag_task_id,
        "map_index": request.origin.map_index,
        "try_number": request.origin.try_number,
        "claimed_at": tx.now,
    }


def _simple_ones(tx: Transaction, requests: Sequence[Claim]) -> dict[int, int]:
    """Give the rows that are still reserved, and whose bytes no row or bill knows otherwise. Locks them.

    :return: the attempts that each has had.
    """
    images = tx.tables.images.c
    ids = [request.image_id for request in requests]
    rows = tx.connection.execute(
        select(images.id, images.status, images.reserved_by, images.attempts)
        .where(images.id.in_(ids))
        .order_by(images.id)
        .with_for_update()
    )
    reserved = {row.id: row for row in rows if row.status == Status.PENDING}
    digests = Counter(request.content.content_sha256 for request in requests)
    bot_type = requests[0].batch.scope.bot_type
    marks = {content_mark(digest, bot_type): digest for digest in digests}
    known = tx.connection.execute(
        select(images.content_sha256).where(
            images.content_sha256.in_([*digests, *marks]), images.bot_type == bot_type, images.id.not_in(ids)
        )
    ).scalars()
    digests.update(marks.get(digest, digest) for digest in known)
    digests.update(digests_without_result(tx, list(digests), bot_type))
    return {
        row.id: row.attempts
        for request in requests
        if (row := reserved.get(request.image_id)) is not None
        and row.reserved_by == request.holder
        and digests[request.content.content_sha256] == 1
    }


def _claim_simple(
    tx: Transaction,
    requests: Sequence[Claim],
    attempts: Mapping[int, int],
    account: AccountSettings,
    state: AccountState,
) -> list[ClaimResult]:
    if not requests:
        return []
    batch = requests[0].batch
    room = state.room(account)
    lock_caps_of_run(tx, batch)
    move_tallies_on(tx, batch, account)
    left = submissions_left(tx, batch, account)
    claimed = min(room, len(requests) if left is None else left, len(requests))
    for request in requests[claimed:]:
        note_content(tx, request)
    if claimed:
        intents = [Intent(request, attempts[request.image_id] + 1) for request in requests[:claimed]]
        _write_intents(tx, intents, account, state)
    others = ClaimResult.NO_ROOM if claimed == room else ClaimResult.CAPPED
    return [ClaimResult.CLAIMED] * claimed + [others] * (len(requests) - claimed)


@dataclass(frozen=True, slots=True)
class Intent:
    """A claim that is granted.

    :param attempts: of the image, this one included.
    """

    request: Claim
    attempts: int


def _write_intents(tx: Transaction, intents: Sequence[Intent], account: AccountSettings, state: AccountState) -> None:
    expect_answer(tx, account, state)
    rows = [
        RowFacts(
            intent.request.image_id,
            intent_values(tx, intent.request, account, state) | {"attempts": intent.attempts},
            held={"reserved_by": intent.request.holder},
        )
        for intent in intents
    ]
    move_each(tx, SubmissionMove.CLAIM, rows)
    bill = [submission_values(tx, intent.request, account) for intent in intents]
    tx.connection.execute(tx.tables.submissions.insert(), bill)
