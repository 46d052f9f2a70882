"""Bringing together what the engine needs, from Airflow's connections."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from airflow_midjourney.describe.model.errors import DescribeError, ServiceUnavailableError
from airflow_midjourney.hooks.image_prompts import open_metadata
from airflow_midjourney.hooks.images import open_images
from airflow_midjourney.hooks.midjourney import MidjourneyHook
from airflow_midjourney.runs import run_is_over

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Watcher, Worker
    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.service.client import MidjourneyClient
    from airflow_midjourney.describe.service.settings import ServiceSettings
    from airflow_midjourney.describe.table.database import Database

log = logging.getLogger(__name__)

#: Seconds that are left, after a request, to write down what it came to.
_RECORDING: Final = 15.0

#: Share of the time between the last claim and the end of the task that one request may take.
_REQUEST_SHARE: Final = 0.8


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """An ``execution_timeout``: Airflow interrupts the task wherever it is, a POST that may be paid for among it.

    The worker therefore claims nothing in the last part of it, which is as long as one request and its record may
    take, and at most half of the whole; where that is short, requests get a shorter deadline.

    :param ends_at: when Airflow interrupts the task.
    :param seconds: the whole ``execution_timeout``.
    """

    ends_at: datetime
    seconds: float

    def _reserve(self, timeout: float) -> float:
        return min(timeout + _RECORDING, self.seconds / 2)

    def request_timeout(self, timeout: float) -> float:
        """Give the seconds that a request may take in all, where ``timeout`` is what the connection allows."""
        return min(timeout, self._reserve(timeout) * _REQUEST_SHARE)

    def claims_until(self, timeout: float) -> datetime:
        """Give the moment after which nothing more is claimed."""
        return self.ends_at - timedelta(seconds=self._reserve(timeout))


@asynccontextmanager
async def open_worker(
    db_conn_id: str, batch_id: str, try_number: int | None, limit: TimeLimit | None = None
) -> AsyncIterator[Worker]:
    """Make a worker for a batch, with an open client; the batch's row names its other connections.

    A retry takes over at once what the tries before it had reserved and not sent.

    :param try_number: of the task that works.
    :param limit: when Airflow cuts the task off; None if it does not.
    :raises DescribeError: if a connection is missing or makes no sense, or the database cannot be used.
    """
    from airflow_midjourney.describe.engine.context import Worker, holders_of, new_holder
    from airflow_midjourney.describe.engine.left_over import LeftOver
    from airflow_midjourney.describe.service.client import MidjourneyClient
    from airflow_midjourney.describe.table.accounts import ensure_account
    from airflow_midjourney.describe.table.batches import read_batch
    from airflow_midjourney.describe.table.leases import end_leases

    database = open_metadata(db_conn_id)
    options = (await database.read(read_batch, batch_id)).options
    hook = MidjourneyHook(options.mj_conn_id)
    service, account = hook.service(), hook.account()
    claims_until = None if limit is None else limit.claims_until(service.timeout)
    if limit is not None:
        service = replace(service, timeout=limit.request_timeout(service.timeout))
    images = open_images(
        options.aws_conn_id, requester_pays=options.requester_pays, allowed_uris=hook.extra().allowed_uris
    )
    await database.write(ensure_account, account)
    if try_number is not None and try_number > 1:
        await database.write(end_leases, holders_of(batch_id))
    async with MidjourneyClient(service) as client:
        yield Worker(
            database=database,
            service=service,
            client=client,
            account=account,
            images=images,
            try_number=try_number,
            holder=new_holder(batch_id),
            left_over=LeftOver(run_is_over),
            claims_until=claims_until,
            open_other_account=open_other_account,
        )


@asynccontextmanager
async def open_other_account(mj_conn_id: str, identity: str) -> AsyncIterator[MidjourneyClient | None]:
    """Open the client of a connection that has paid for something, if it is still that of the same account.

    :raises ServiceUnavailableError: if the connection cannot be looked up now.
    """
    from airflow_midjourney.describe.service.client import MidjourneyClient

    hook = MidjourneyHook(mj_conn_id)
    try:
        account = await asyncio.to_thread(hook.account)
        client = MidjourneyClient(hook.service()) if account.identity == identity else None
    except DescribeError as error:
        if error.retry_helps:
            raise ServiceUnavailableError(str(error), retry_helps=True) from error
        client = None
    if client is None:
        yield None
        return
    async with client:
        yield client


@dataclass(frozen=True, slots=True)
class WatchPost:
    """What there is to watch: equal for all who wait for the same account in the same way."""

    database: Database
    service: ServiceSettings
    account: AccountSettings

    @asynccontextmanager
    async def open_watcher(self) -> AsyncIterator[Watcher]:
        """Make a watcher, with an open client."""
        from airflow_midjourney.describe.engine.context import Watcher
        from airflow_midjourney.describe.service.client import MidjourneyClient
        from airflow_midjourney.describe.table.accounts import ensure_account

        await self.database.write(ensure_account, self.account)
        async with MidjourneyClient(self.service) as client:
            yield Watcher(database=self.database, service=self.service, client=client, account=self.account)


def find_watch_post(db_conn_id: str, mj_conn_id: str) -> WatchPost:
    """Look the connections up. It blocks: an event loop has to call it in a thread.

    :raises DescribeError: as :func:`open_worker`.
    """
    hook = MidjourneyHook(mj_conn_id)
    return WatchPost(open_metadata(db_conn_id), hook.service(), hook.account())


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Turn the engine's errors into Airflow's: one that no retry can cure fails the task at once.

    The message says what to do, so the traceback of the engine goes to the log at DEBUG only.
    """
    try:
        yield
    except DescribeError as error:
        log.debug("%s, raised here:", type(error).__name__, exc_info=True)
        kind = AirflowException if error.retry_helps else AirflowFailException
        raise kind(str(error)) from None
