"""Sending one image: read, checked, claimed and posted. The intent is committed first, the answer at once.

Images that are sent side by side share their transactions, not their fate.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.answers.posts import Posted, record_posts
from airflow_midjourney.describe.engine.doubt.former_tasks import needs_no_new_task
from airflow_midjourney.describe.engine.group_commit import Gathered
from airflow_midjourney.describe.engine.probe import end_turn
from airflow_midjourney.describe.engine.reading.image_reader import LINGER, TOGETHER, ImageReader, ReadyImage
from airflow_midjourney.describe.engine.refusals.denials import turn_away
from airflow_midjourney.describe.engine.refusals.forbidden import judge, stops_the_run
from airflow_midjourney.describe.imaging.prepare import reader_fingerprint
from airflow_midjourney.describe.model.clock import awake_or_asleep
from airflow_midjourney.describe.model.errors import (
    DescribeError,
    ImageRejectedError,
    ObjectDeniedError,
    ObjectUnavailableError,
    TableConflictError,
    TableError,
)
from airflow_midjourney.describe.model.status import Reason
from airflow_midjourney.describe.service.callback_url import digest_of, new_callback
from airflow_midjourney.describe.service.read_response import denied_error
from airflow_midjourney.describe.service.submit_response import (
    Accepted,
    Denied,
    HeldBack,
    Refused,
)
from airflow_midjourney.describe.table import claims, leases
from airflow_midjourney.describe.table.claims import Claim, ClaimResult
from airflow_midjourney.describe.table.doubt import former_tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.refusals.denials import Denials
    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.doubt.late_results import GivenUp
    from airflow_midjourney.describe.table.leases import ReservedImage

#: What a claim comes to where there is nothing to claim for any other row either.
_NO_ROOM: Final = frozenset({ClaimResult.NO_ROOM, ClaimResult.CAPPED})

#: Results of a claim after which the row is pending again, for the next worker.
_GIVEN_BACK: Final = _NO_ROOM | {ClaimResult.ASK_FIRST, ClaimResult.TWIN_AWAY}


class ImageSender:
    """Sends reserved images of one batch, many side by side. Belongs to one event loop.

    :param denials: what S3 has denied of such images.
    """

    def __init__(self, worker: Worker, batch: Batch, denials: Denials) -> None:
        self._worker = worker
        self._batch = batch
        self._denials = denials
        self._reader = ImageReader(worker, worker.holder, strip_metadata=batch.options.strip_metadata)
        self._claims = Gathered(self._claim_some, at_most=TOGETHER, linger=LINGER)
        self._records = Gathered(self._record_some, at_most=TOGETHER, linger=LINGER)

    async def send(self, row: ReservedImage) -> bool:
        """Read, claim and send one reserved image.

        :return: False if others had better not follow: there is no room, or the service has not taken it.
        :raises DescribeError: when the service or S3 refuses access.
        """
        worker, database = self._worker, self._worker.database
        former = await self._find_former(row)
        if former is not None and await needs_no_new_task(worker, row.id, former):
            return True
        try:
            ready = await self._read(row)
        except ImageRejectedError as error:
            await database.write(
                leases.reject, row.id, worker.holder, Reason(error.reason), str(error), reader_fingerprint()
            )
            return True
        except (ObjectDeniedError, ObjectUnavailableError) as error:
            await turn_away(worker, self._batch, row, error, self._denials)
            return True
        except DescribeError:
            await database.write(leases.release, [row.id], worker.holder)
            raise
        callback = new_callback() if worker.account.callbacks else ""
        request = Claim(
            image=row,
            holder=worker.holder,
            submit_token=secrets.token_urlsafe(24),
            batch=self._batch,
            origin=replace(self._batch.origin, try_number=worker.try_number),
            content=ready.content,
            callback_digest=digest_of(callback) if callback else None,
            asked=frozenset([former.submit_token] if former else []),
        )
        asked_at = awake_or_asleep()
        result = await self._claim(request)
        if result is not ClaimResult.CLAIMED:
            return result not in _NO_ROOM
        outcome = await worker.client.submit_describe(
            data_uri=ready.prepared.data_uri,
            bot_type=self._batch.scope.bot_type,
            state=request.submit_token,
            callback=callback,
            # Others may take a POST that ends later for one that was never sent, and send it themselves.
            complete_before=asked_at + worker.account.doubt_grace,
        )
        outcome = await judge(worker, self._batch, row.id, outcome)
        return await self._keep(Posted(request, outcome, awake_or_asleep() - asked_at))

    async def _read(self, row: ReservedImage) -> ReadyImage:
        """Read, check and encode an image, unless that was done ahead."""
        ahead = await self._worker.ahead.take(self._worker, row)
        if ahead is not None:
            self._denials.note_read()
            return ahead
        ready = await self._reader.read(row, self._denials.note_read)
        if row.is_suspected:
            # Of all others the claim says so.
            await self._worker.database.write(leases.acquit, [row.id], self._worker.holder)
        return ready

    async def _find_former(self, row: ReservedImage) -> GivenUp | None:
        """Find the task that a row had last, where that came to nothing."""
        if row.task_id is None or row.submit_token is None:
            return None
        return await self._worker.database.read(former_tasks.latest_of, row.id, row.submit_token)

    async def _keep(self, post: Posted) -> bool:
        await self._records(post)
        outcome = post.outcome
        if isinstance(outcome, Denied) and stops_the_run(self._worker, post.claim.image_id, outcome):
            raise denied_error(outcome, self._worker.service)
        return isinstance(outcome, Accepted | Refused | Denied | HeldBack)

    async def _claim(self, request: Claim) -> ClaimResult:
        """Claim a row, or give it back."""
        worker = self._worker
        await end_turn(worker)
        result = await self._claims(request)
        if result is ClaimResult.ASK_FIRST:
            former = await worker.database.read(former_tasks.unasked, request)
            for one in former:
                if await needs_no_new_task(worker, request.image_id, one):
                    break
            # With an answer, or a task to wait for, the row shares it now; one that was postponed is not reserved any
            # more.
            asked = request.asked | {one.submit_token for one in former}
            result = await self._claims(replace(request, asked=asked))
        if result in _GIVEN_BACK:
            await worker.database.write(leases.release, [request.image_id], worker.holder)
        return result

    async def _claim_some(self, requests: Sequence[Claim]) -> Sequence[ClaimResult]:
        worker = self._worker
        if worker.stopping:
            return [ClaimResult.NO_ROOM] * len(requests)
        try:
            return await worker.database.write(claims.claim, requests, worker.account)
        except TableConflictError:
            if len(requests) == 1:
                return [ClaimResult.TWIN_AWAY]
        return [(await self._claim_some([request]))[0] for request in requests]

    async def _record_some(self, posts: Sequence[Posted]) -> Sequence[None]:
        database, account = self._worker.database, self._worker.account
        try:
            await database.write_at_any_cost(record_posts, account, posts)
        except TableError:
            if len(posts) == 1:
                raise
            await self._record_singly(posts)
        return [None] * len(posts)

    async def _record_singly(self, posts: Sequence[Posted]) -> None:
        """Record all that can be, before what cannot stops the run."""
        errors = []
        for post in posts:
            try:
                await self._record_some([post])
            except TableError as error:
                errors.append(error)
        if errors:
            raise errors[0]
