"""Describing one image while its caller waits: a batch of one key, worked off in a thread of its own."""

from __future__ import annotations

import asyncio
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from airflow.sdk import get_current_context

from airflow_midjourney.arguments import read_choice, read_origin, read_scope
from airflow_midjourney.describe.model.batch import BatchOptions, Origin
from airflow_midjourney.describe.model.errors import ImageUndescribedError, ImageUnfinishedError, SettingsError
from airflow_midjourney.describe.model.status import OPEN, Reason, Status
from airflow_midjourney.describe.storage.address import read_address
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.runtime import open_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import BaseHook

    from airflow_midjourney.describe.engine.context import Worker
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.batch import Scope
    from airflow_midjourney.describe.queries.rows import DescribedImage

#: What to do about an image that has ended without prompts.
_REMEDIES: Final = {
    Status.FAILED: "The page Failures, or a call with redescribe='failed', sends it again.",
    Status.REJECTED: "It was not sent; it is looked at again when the object is another one.",
    Status.IN_DOUBT: "It may have been taken and billed; the DAG midjourney_resolve decides about it.",
}

#: What each order to describe again is called that no task gives, by what it is about, until it has come to its end: a
#: call that was interrupted, or was given too little time, is taken up by the next one and pays for nothing more.
_unfinished_orders: Final[dict[str, str]] = {}


class OneImage:
    """One image, and how it is described.

    :param scope: its bucket, its key and the bot.
    :param db_conn_id: connection of the database with the metadata table.
    """

    def __init__(self, scope: Scope, options: BatchOptions, db_conn_id: str) -> None:
        self._scope = scope
        self._options = options
        self._db_conn_id = db_conn_id
        self._uri = f"s3://{scope.bucket}/{scope.keys[0]}"
        self._told_to_stop = False
        self._worker: Worker | None = None

    @classmethod
    def at(
        cls,
        uri: str,
        *,
        bot_type: str,
        strip_metadata: bool,
        requester_pays: bool,
        redescribe: str | None,
        mj_conn_id: str,
        aws_conn_id: str | None,
        db_conn_id: str,
    ) -> OneImage:
        """Name an image by its address.

        :raises SettingsError: if it is no address of an object in S3, or there is no such bot.
        """
        address = read_address(uri)
        if address is None or address.problem or not (address.bucket and address.key):
            problem = (address and address.problem) or "is no address of an object; write s3://bucket/key"
            raise SettingsError(f"{uri.partition('?')[0]!r} {problem}.")
        scope = read_scope(
            bucket=address.bucket, prefix=None, keys=[address.key], whole_bucket=False, bot_type=bot_type
        )
        options = BatchOptions(
            mj_conn_id=mj_conn_id,
            aws_conn_id=aws_conn_id or "",
            strip_metadata=strip_metadata,
            requester_pays=requester_pays,
            redescribe=read_choice(redescribe),
            backlog="none",
            on_empty="finish",
        )
        return cls(scope, options, db_conn_id)

    def describe(self, timeout: float, write: Callable[[str], None]) -> tuple[str, ...]:
        """Have it described, unless it has its prompts already, and give them.

        The caller may have an event loop, which is why there is a thread; and the caller may be interrupted, which must
        not cut a POST: the thread is told to stop, and waited for until what is on its way is written down.

        :param write: takes a line about the progress.
        :raises ImageUndescribedError: if it has ended without prompts.
        :raises ImageUnfinishedError: if it has not ended.
        :raises DescribeError: if it cannot be tried.
        """
        work = self._work(self._origin(), time.monotonic() + timeout, write)
        with ThreadPoolExecutor(1, "describe-image") as thread:
            result = thread.submit(copy_context().run, asyncio.run, work)
            try:
                progress = result.result()
            except BaseException:
                self._stop()
                raise
        if progress.all_ended:
            _unfinished_orders.pop(self._what, None)
        return self._prompts(progress)

    def tell_lineage(self, hook: BaseHook) -> None:
        """Tell Airflow's collector of hook lineage of it.

        :param hook: which has described it.
        """
        from airflow_midjourney.observability.lineage import tell_collector

        tell_collector(hook, self._scope, open_metadata(self._db_conn_id))

    def _origin(self) -> Origin:
        """Say which task asks, if a task does.

        An order to describe again is a batch of its own, so that what is described by it is what was there before. A
        task has one of each kind for an image, however often it is tried; elsewhere each call is another order.
        """
        try:
            return replace(read_origin(get_current_context()), image=self._what)
        except RuntimeError:
            order = self._options.redescribe and _unfinished_orders.setdefault(self._what, secrets.token_hex(8))
            return Origin(image=f"{self._what} {order}" if order else self._what)

    @property
    def _what(self) -> str:
        what = f"{self._scope.bot_type} {self._options.mj_conn_id} {self._uri}"
        return f"{what} redescribe={self._options.redescribe}" if self._options.redescribe else what

    async def _work(self, origin: Origin, deadline: float, write: Callable[[str], None]) -> Progress:
        from airflow_midjourney.describe.engine.loop import work
        from airflow_midjourney.describe.engine.reporting import ProgressReport
        from airflow_midjourney.describe.table.batches import open_batch

        def enough(progress: Progress) -> bool:
            left = deadline - time.monotonic()
            return progress.all_ended or self._told_to_stop or left <= 0 or _opens_too_late(progress, left)

        database = open_metadata(self._db_conn_id)
        batch = await database.write(open_batch, self._scope, self._options, origin)
        async with open_worker(self._db_conn_id, batch.batch_id, None) as worker:
            self._worker = worker
            worker.told_to_stop = self._told_to_stop
            return await work(worker, batch.batch_id, ProgressReport(write), until=enough, may_leave=False)

    def _stop(self) -> None:
        self._told_to_stop = True
        if self._worker is not None:
            self._worker.told_to_stop = True

    def _prompts(self, progress: Progress) -> tuple[str, ...]:
        row = self._row()
        status = Status.REJECTED if row is None else Status(row.status)
        if row is not None and status is Status.SUCCEEDED:
            return row.prompts
        if status in OPEN:
            why = self._why_unfinished(progress, status)
            raise ImageUnfinishedError(status, f"{self._uri} {why}", image_uri=self._uri)
        # An erased image has no row that names it.
        reason, detail = (Reason.ERASED, None) if row is None else (row.reason, row.detail)
        why = f"{status}, {reason}" + (f" ({detail})" if detail else "")
        raise ImageUndescribedError(
            status, reason, f"{self._uri} has no prompts: {why}. {_REMEDIES[status]}", image_uri=self._uri
        )

    def _why_unfinished(self, progress: Progress, status: Status) -> str:
        name = self._options.mj_conn_id
        if status is not Status.PENDING:
            return "has no prompts yet. Call again to go on waiting: nothing is sent twice."
        if progress.opening is not None:
            return f"was not sent: connection {name!r} submits again at {progress.opening}. Call again then."
        if progress.capped:
            return f"was not sent: a daily cap of connection {name!r} is reached. Call again on the next day (UTC)."
        if progress.account.paused:
            return (
                f"was not sent: the account of connection {name!r} is paused. Call again when a person has resumed it."
            )
        return f"was not sent: the service of connection {name!r} had no room for it. Call again to go on waiting."

    def _row(self) -> DescribedImage | None:
        """Give the row of the version that is current, or else the latest: an object that is not there has none."""
        from airflow_midjourney.describe.queries.rows import Wanted, read_rows

        wanted = Wanted(self._scope, statuses=(), current_only=False)
        rows = list(read_rows(open_metadata(self._db_conn_id), wanted))
        return max(rows, key=lambda row: (row.is_current, row.id), default=None)


def _opens_too_late(progress: Progress, seconds: float) -> bool:
    """Say whether an image waits for hours of its connection that begin when its caller waits no longer."""
    if progress.opening is None or not progress.listing_ended or not progress.open.to_submit:
        return False
    return (progress.opening.at - progress.account.now).total_seconds() > seconds
