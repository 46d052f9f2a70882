"""Reserving, reading and sending images: the intent is committed first, the answer at once."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.callbacks import digest_of, new_callback
from airflow_midjourney.describe.denial import denied_error
from airflow_midjourney.describe.errors import (
    DescribeError,
    ImageRejectedError,
    ServiceUnavailableError,
    TableConflictError,
)
from airflow_midjourney.describe.images import ListedImage
from airflow_midjourney.describe.late import ask_once_more
from airflow_midjourney.describe.outcome import (
    Accepted,
    Ambiguous,
    Denied,
    Full,
    Refused,
    SubmitOutcome,
    Unavailable,
)
from airflow_midjourney.describe.pixels import PreparedImage, prepare, reader_fingerprint
from airflow_midjourney.describe.status import Reason
from airflow_midjourney.describe.table import accounts, claims, outcomes
from airflow_midjourney.describe.table.caps import submissions_left
from airflow_midjourney.describe.table.claims import Claim, ClaimResult, ContentFacts, ReservedImage
from airflow_midjourney.describe.table.late_answers import GivenUp
from airflow_midjourney.describe.table.outcomes import PostFacts

if TYPE_CHECKING:
    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.crew import Worker
    from airflow_midjourney.describe.images import ImageStore
    from airflow_midjourney.describe.scope import Batch
    from airflow_midjourney.describe.table.database import Transaction

#: Images that one worker reads, encodes and sends side by side.
SIDE_BY_SIDE: Final = 8


async def submit_some(worker: Worker, batch: Batch) -> int:
    """Submit as many images of the batch as the account has room for, up to a handful.

    :return: how many images were read, whatever came of them.
    :raises DescribeError: when the service or S3 refuses access; POSTs on their way are finished first, and
        images not sent are pending again.
    """
    limit = await worker.database.read(_room, worker.account, batch)
    if limit == 0:
        return 0
    rows = await _reserve(worker, batch, min(limit, SIDE_BY_SIDE))
    if not rows:
        return 0
    may_submit = False
    try:
        may_submit = await _has_access(worker, batch)
    finally:
        if not may_submit:
            await worker.database.write(claims.release, [row.id for row in rows], worker.holder)
    if not may_submit:
        return 0
    results = await asyncio.gather(*(_submit_one(worker, batch, row) for row in rows), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return len(rows)


async def _reserve(worker: Worker, batch: Batch, limit: int) -> list[ReservedImage]:
    """Take rows of the batch; when there are none to take, what earlier runs of the task left over."""
    rows = await worker.database.write(claims.reserve, batch, worker.holder, limit)
    if not rows and batch.options.backlog == "own" and batch.listing_ended_at is not None:
        rows = await worker.database.write(claims.reserve_left_over, batch, worker.holder, limit)
    return rows


def _room(tx: Transaction, account: AccountSettings, batch: Batch) -> int:
    state = accounts.read_account(tx, account.identity)
    room = state.room(account.max_in_flight)
    if state.closed_reason is not None:
        # After a no, one image at a time is sent: to read more of them would be in vain.
        room = min(room, 1)
    left = submissions_left(tx, batch, account)
    return room if left is None else min(room, left)


async def _has_access(worker: Worker, batch: Batch) -> bool:
    """Prove that the key may read, once, before anything is paid for: its answers could not be fetched else.

    :return: False while a service that has answered in this try cannot be asked; all processes stay away from it
        for a while then.
    :raises ServiceDeniedError: if the key may not read.
    :raises ServiceUnavailableError: if the service has not answered once since the try began: waiting on a wrong
        address tells nobody that it is wrong.
    """
    if worker.access_checked:
        return True
    database, identity = worker.database, worker.account.identity
    until = await database.write(accounts.take_probe_turn, identity)
    if until is None:
        return False
    try:
        await worker.client.check_access()
    except ServiceUnavailableError:
        await database.write(accounts.close_for_a_while, identity, "no answer to a read", None, failing=True)
        if not await database.read(accounts.was_heard_since, identity, batch.tried_at):
            raise
        return False
    await database.write(accounts.end_probe_turn, identity, until)
    worker.access_checked = True
    return True


async def _submit_one(worker: Worker, batch: Batch, row: ReservedImage) -> None:
    """Read, claim and send one reserved image."""
    database = worker.database
    if row.task_id is not None and row.submit_token is not None:
        former = GivenUp(row.id, row.task_id, row.submit_token)
        if await _needs_no_new_task(worker, row.id, former):
            return
    try:
        ready = await asyncio.to_thread(_read, worker.images, row, batch.options.strip_metadata)
    except ImageRejectedError as error:
        await database.write(
            claims.reject, row.id, worker.holder, Reason(error.reason), str(error), reader_fingerprint()
        )
        return
    except DescribeError:
        await database.write(claims.release, [row.id], worker.holder)
        raise
    callback = new_callback() if worker.account.callbacks else ""
    request = Claim(
        image_id=row.id,
        holder=worker.holder,
        submit_token=secrets.token_urlsafe(24),
        batch=batch,
        origin=replace(batch.origin, try_number=worker.try_number),
        content=ready.content,
        callback_digest=digest_of(callback) if callback else None,
    )
    asked_at = time.monotonic()
    if not await _claim(worker, request):
        return
    if time.monotonic() - asked_at > worker.account.doubt_grace:
        # Others may take a POST that begins this late for one that was never sent, and send it themselves.
        late = PostFacts(detail="Its worker was held up for too long between claiming and sending.")
        await database.write_at_any_cost(outcomes.not_taken, request.submit_token, "never_sent", late)
        return
    outcome = await worker.client.submit_describe(
        data_uri=ready.prepared.data_uri,
        bot_type=batch.scope.bot_type,
        state=request.submit_token,
        callback=callback,
    )
    await database.write_at_any_cost(_record, worker.account.identity, request.submit_token, outcome)
    if isinstance(outcome, Denied):
        raise denied_error(outcome, worker.service)


async def _needs_no_new_task(worker: Worker, image_id: int, former: GivenUp) -> bool:
    """Ask for a task that the bytes of a row had before; while the service cannot say, nothing is paid for again.

    :return: True if there is nothing to submit, at least for now.
    """
    try:
        return await ask_once_more(worker, former)
    except ServiceUnavailableError:
        return await worker.database.write(claims.postpone, image_id, worker.holder, former.submit_token)
    except DescribeError:
        await worker.database.write(claims.release, [image_id], worker.holder)
        raise


def _read(images: ImageStore, row: ReservedImage, strip_metadata: bool) -> _ReadyImage:
    listed = ListedImage(
        bucket=row.bucket,
        key=row.key,
        etag=row.etag,
        size_bytes=row.size_bytes,
        last_modified=row.last_modified,
        storage_class=row.storage_class,
        # An archived object may have been restored since it was listed; the read itself tells.
        restored=True,
    )
    stored = images.read(listed)
    prepared = prepare(stored.body, image_uri=listed.uri, strip_metadata=strip_metadata)
    content = ContentFacts(
        content_sha256=prepared.content_sha256,
        media_type=prepared.media_type,
        width=prepared.width,
        height=prepared.height,
        version_id=stored.version_id,
        reader=reader_fingerprint(),
    )
    return _ReadyImage(prepared, content)


async def _claim(worker: Worker, request: Claim) -> bool:
    """Claim a row, or give it back.

    :return: True if it is ours to send.
    """
    result = await _try_to_claim(worker, request)
    if result is ClaimResult.ASK_FIRST:
        former = await worker.database.read(claims.unasked, request, worker.account.identity)
        for one in former:
            if await _needs_no_new_task(worker, request.image_id, one):
                break
        # With an answer the row shares it now; one that was postponed is not reserved any more.
        result = await _try_to_claim(worker, replace(request, asked=frozenset(one.submit_token for one in former)))
    if result in (ClaimResult.NO_ROOM, ClaimResult.CAPPED, ClaimResult.ASK_FIRST):
        await worker.database.write(claims.release, [request.image_id], worker.holder)
    return result is ClaimResult.CLAIMED


async def _try_to_claim(worker: Worker, request: Claim) -> ClaimResult:
    if worker.stopping:
        return ClaimResult.NO_ROOM
    try:
        return await worker.database.write(claims.claim, request, worker.account)
    except TableConflictError:
        # The twin that another account is sending at this very moment: the next round shares with it.
        return ClaimResult.NO_ROOM


def _record(tx: Transaction, account: str, submit_token: str, outcome: SubmitOutcome) -> None:
    """Write what the POST came to, and put on or lift the brake, in one transaction."""
    facts = PostFacts(http_status=outcome.http_status, code=outcome.code, detail=outcome.description)
    match outcome:
        case Accepted(task_id=task_id):
            accounts.submit_accepted(tx, account, outcomes.claimed_at(tx, submit_token))
            outcomes.accepted(tx, submit_token, task_id, facts)
        case Full(retry_after=pause):
            accounts.close_for_a_while(tx, account, facts.detail or "full", pause, failing=False)
            outcomes.not_taken(tx, submit_token, "full", facts)
        case Unavailable(retry_after=pause):
            accounts.close_for_a_while(tx, account, facts.detail or "unavailable", pause, failing=True)
            outcomes.not_taken(tx, submit_token, "unavailable", facts)
        case Denied():
            outcomes.not_taken(tx, submit_token, "denied", facts)
        case Refused(reason=reason):
            outcomes.refused(tx, submit_token, reason, facts)
        case Ambiguous():
            accounts.close_for_a_while(tx, account, facts.detail or "no answer", None, failing=True)
            outcomes.ambiguous(tx, submit_token, facts)


@dataclass(frozen=True, slots=True)
class _ReadyImage:
    prepared: PreparedImage
    content: ContentFacts
