"""An engine that can be killed at a point with a name: between any two commits, requests and reads."""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar
from unittest.mock import patch

from airflow_midjourney.describe.engine.context import Worker
from airflow_midjourney.describe.engine.reading import image_reader
from airflow_midjourney.describe.imaging.prepare import prepare
from airflow_midjourney.describe.service.client import MidjourneyClient
from airflow_midjourney.describe.storage.objects import ImageStore
from airflow_midjourney.describe.table.accounts import ensure_account
from airflow_midjourney.describe.table.database import Database, Transaction
from tests.support.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from datetime import datetime

    from airflow_midjourney.describe.imaging.prepare import PreparedImage
    from airflow_midjourney.describe.service.client import TaskListing
    from airflow_midjourney.describe.service.settings import ServiceSettings
    from airflow_midjourney.describe.service.submit_response import SubmitOutcome
    from airflow_midjourney.describe.service.tasks import RemoteTask
    from airflow_midjourney.describe.storage.listed_images import ListedImage, Page, StoredImage

P = ParamSpec("P")
R = TypeVar("R")

#: Leases and pauses of minutes, made short: the constants of the engine, by their full names, in seconds.
HURRY: Final = {
    "airflow_midjourney.describe.table.leases.LEASE": 0.5,
    "airflow_midjourney.describe.table.accounts.FIRST_PAUSE": 0.1,
    "airflow_midjourney.describe.table.accounts.LONGEST_PAUSE": 0.5,
    "airflow_midjourney.describe.table.poll_schedule.LONGEST_POLL_INTERVAL": 0.2,
    "airflow_midjourney.describe.table.accounts.PROBE_INTERVAL": 0.1,
    "airflow_midjourney.describe.table.submissions.PAUSE_AFTER_NO": 0.1,
    "airflow_midjourney.describe.table.doubt.unanswered.LOOKED_FOR_AFTER": 0.3,
}


def hurry() -> None:
    """Shorten leases and pauses in this process, for good."""
    for name, seconds in HURRY.items():
        module, constant = name.rsplit(".", 1)
        setattr(importlib.import_module(module), constant, seconds)


@dataclass(frozen=True)
class CrashPoint:
    """Where a process dies: at the n-th passing of a point, counted from 1."""

    name: str
    occurrence: int = 1


@dataclass
class CrashPoints:
    """The points that an engine passes, and the one at which it kills its process with ``SIGKILL``, or freezes it.

    :param delay: seconds that the process goes on for after the fatal point.
    :param fate: the signal that it gets there.
    """

    fatal: CrashPoint | None = None
    delay: float = 0.0
    fate: signal.Signals = signal.SIGKILL
    passed: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def passing(self, name: str) -> None:
        """Count a point, or die there."""
        with self._lock:
            self.passed[name] += 1
            here = CrashPoint(name, self.passed[name])
        if here == self.fatal and self.delay:
            threading.Timer(self.delay, self._meet_it).start()
        elif here == self.fatal:
            self._meet_it()

    def _meet_it(self) -> None:
        os.kill(os.getpid(), self.fate)

    @contextmanager
    def around(self, name: str) -> Iterator[None]:
        """Pass a point before and one after the block, whether it raises or not."""
        self.passing(f"before {name}")
        try:
            yield
        finally:
            self.passing(f"after {name}")


class CrashingDatabase(Database):
    """A database with a point before and after each transaction, named after its query."""

    points: CrashPoints

    async def write(self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As the database does."""
        with self.points.around(query.__name__):
            return await super().write(query, *args, **kwargs)

    async def write_at_any_cost(
        self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """As the database does."""
        with self.points.around(query.__name__):
            return await super().write_at_any_cost(query, *args, **kwargs)

    async def read(self, query: Callable[Concatenate[Transaction, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """As the database does."""
        with self.points.around(query.__name__):
            return await super().read(query, *args, **kwargs)


class CrashingClient(MidjourneyClient):
    """A client with a point before and after each call."""

    points: CrashPoints

    async def submit_describe(self, **image: Any) -> SubmitOutcome:
        """As the client does."""
        with self.points.around("submit_describe"):
            return await super().submit_describe(**image)

    async def fetch(self, task_id: str) -> RemoteTask | None:
        """As the client does."""
        with self.points.around("fetch"):
            return await super().fetch(task_id)

    async def list_by_condition(self, task_ids: Sequence[str]) -> TaskListing:
        """As the client does."""
        with self.points.around("list_by_condition"):
            return await super().list_by_condition(task_ids)

    async def search_list(self, look: Callable[[RemoteTask], bool]) -> datetime | None:
        """As the client does."""
        with self.points.around("search_list"):
            return await super().search_list(look)

    async def check_access(self) -> None:
        """As the client does."""
        with self.points.around("check_access"):
            await super().check_access()


class CrashingImages(ImageStore):
    """A store with a point before and after each page and each read, and others for each object by its key."""

    points: CrashPoints

    def list_page(self, bucket: str, prefix: str, **position: Any) -> Page:
        """As the store does."""
        with self.points.around("list_page"):
            return super().list_page(bucket, prefix, **position)

    def read(self, image: ListedImage, *note: Callable[[], None]) -> StoredImage:
        """As the store does."""
        with self.points.around("read"), self.points.around(f"reading {image.key}"):
            return super().read(image, *note)


@dataclass
class CrashingEngine(Engine):
    """An engine whose database, client and store are those above. Its deadline for a POST is the account's."""

    points: CrashPoints = field(default_factory=CrashPoints)

    def __post_init__(self) -> None:
        assert isinstance(self.database, CrashingDatabase)
        self.database.points = self.points

    @property
    def service(self) -> ServiceSettings:
        """As the engine's; without certificates, which take longer to load than all the rest."""
        return replace(super().service, timeout=self.account.get("submit_deadline", 10.0), verify=False)

    @asynccontextmanager
    async def worker(self, try_number: int = 1) -> AsyncIterator[Worker]:
        """Make a worker as a task does."""
        await self.database.write(ensure_account, self.settings)
        client = CrashingClient(self.service)
        images = CrashingImages(self.s3, name="aws_default", **self.store)
        client.points = images.points = self.points
        async with client:
            with self._points_of_decoding():
                yield Worker(
                    database=self.database,
                    service=self.service,
                    client=client,
                    account=self.settings,
                    images=images,
                    try_number=try_number,
                )

    @contextmanager
    def _points_of_decoding(self) -> Iterator[None]:
        def decode(body: bytes, *, image_uri: str, **options: Any) -> PreparedImage:
            with self.points.around(f"decoding {image_uri.split('/', 3)[3]}"):
                return prepare(body, image_uri=image_uri, **options)

        with patch.object(image_reader, "prepare", decode):
            yield
