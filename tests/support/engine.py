"""A whole engine for one service, one bucket and one table: what a task of Airflow puts together."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_midjourney.describe.engine.context import Worker
from airflow_midjourney.describe.engine.left_over import LeftOver
from airflow_midjourney.describe.engine.loop import work
from airflow_midjourney.describe.engine.reporting import ProgressReport
from airflow_midjourney.describe.model.account import AccountSettings
from airflow_midjourney.describe.model.batch import BatchOptions, Origin, Scope
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.service.settings import ServiceSettings, account_identity, normalise
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.storage.suffixes import DEFAULT_SUFFIXES
from airflow_midjourney.describe.table.accounts import ensure_account
from airflow_midjourney.describe.table.batches import open_batch
from airflow_midjourney.describe.table.counts import count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mypy_boto3_s3 import S3Client

    from airflow_midjourney.describe.model.batch import Batch
    from airflow_midjourney.describe.table.counts import Counts
    from airflow_midjourney.describe.table.database import Database


@dataclass
class Engine:
    """One service, one S3 and one table, with the settings that tests change."""

    database: Database
    s3: S3Client
    url: str
    key: str = ""
    account: dict[str, Any] = field(default_factory=dict)
    store: dict[str, Any] = field(default_factory=dict)
    callback_url: str = ""
    running: set[str] = field(default_factory=set)
    #: Seconds that a request may take: no busy machine is so slow that one is sent twice.
    timeout: float = 60.0

    @property
    def service(self) -> ServiceSettings:
        return ServiceSettings(
            name="midjourney_default",
            base_url=normalise(self.url),
            key=self.key,
            timeout=self.timeout,
            notify_url=self.callback_url,
        )

    @property
    def settings(self) -> AccountSettings:
        identity = account_identity(self.service.base_url, key=self.key)
        usual = AccountSettings(identity=identity, poll_interval=0.1, callbacks=bool(self.callback_url))
        return replace(usual, **self.account)

    @asynccontextmanager
    async def worker(self, try_number: int = 1) -> AsyncIterator[Worker]:
        """Make a worker as a task does."""
        await self.database.write(ensure_account, self.settings)
        async with MidjourneyClient(self.service) as client:
            yield Worker(
                database=self.database,
                service=self.service,
                client=client,
                account=self.settings,
                images=ImageStore(self.s3, name="aws_default", **self.store),
                try_number=try_number,
                left_over=LeftOver(lambda _dag_id, run_id: run_id not in self.running),
            )

    def run(self, scope: Scope, options: BatchOptions | None = None, run_id: str = "run") -> tuple[Batch, Counts]:
        """Describe a scope to its end, as operator and sensor do, and give the batch and its counts."""
        return asyncio.run(self.describe(scope, options, run_id))

    async def describe(
        self, scope: Scope, options: BatchOptions | None = None, run_id: str = "run"
    ) -> tuple[Batch, Counts]:
        """As :meth:`run`, within a running loop."""
        origin = Origin("describe_images", run_id, "submit", try_number=1)
        chosen = options or BatchOptions(suffixes=tuple(sorted(DEFAULT_SUFFIXES)))
        batch = await self.database.write(open_batch, scope, chosen, origin)
        async with self.worker() as worker:
            progress = await work(
                worker,
                batch.batch_id,
                ProgressReport(lambda line: None),
                until=lambda now: now.all_ended,
                may_leave=False,
            )
        return progress.batch, await self.database.read(count, progress.batch)
