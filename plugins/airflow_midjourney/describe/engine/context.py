"""Who works on a batch: a watcher may ask and write answers down, a worker may also read images and submit."""

from __future__ import annotations

import secrets
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_midjourney.describe.engine.doubt.list_pace import ListPace
from airflow_midjourney.describe.engine.left_over import LeftOver
from airflow_midjourney.describe.engine.reading.read_ahead import ReadAhead
from airflow_midjourney.describe.engine.refusals.denials import Denials
from airflow_midjourney.describe.engine.refusals.forbidden import Forbidden

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from airflow_midjourney.describe.model.account import AccountSettings
    from airflow_midjourney.describe.service.client import MidjourneyClient
    from airflow_midjourney.describe.service.settings import ServiceSettings
    from airflow_midjourney.describe.storage.listing import PrefixListing
    from airflow_midjourney.describe.storage.manifest.reader import ManifestReader
    from airflow_midjourney.describe.storage.objects import ImageStore
    from airflow_midjourney.describe.table.database import Database


def holders_of(batch_id: str) -> str:
    """Give what the names of all workers of a batch begin with."""
    return f"{batch_id}@"


def new_holder(batch_id: str = "") -> str:
    """Make the name of a worker: its batch, its machine, and what no other has."""
    return f"{holders_of(batch_id)}{socket.gethostname()}-{secrets.token_hex(6)}"


class StoppedError(Exception):
    """A worker breaks off its listing, since it may claim nothing more; the loop ends the try and says why."""


@dataclass(slots=True, kw_only=True)
class Watcher:
    """What settling takes: the table, the service and the account that pays.

    :param service: where the service is, for messages.
    :param client: an open client for it.
    :param finds_tasks: False once the service has said that it has no list of its tasks.
    :param list_pace: what it remembers of that list.
    """

    database: Database
    service: ServiceSettings
    client: MidjourneyClient
    account: AccountSettings
    finds_tasks: bool = True
    list_pace: ListPace = field(default_factory=ListPace)


@asynccontextmanager
async def no_other_account(_conn_id: str, _identity: str) -> AsyncIterator[None]:
    """Know no connection but the worker's own."""
    yield None


@dataclass(slots=True, kw_only=True)
class Worker(Watcher):
    """What advancing takes: a watcher that may also read images, for one try of one task.

    :param try_number: of the Airflow task that works, for the lineage.
    :param holder: this worker's name on the rows that it reserves; unique.
    :param listing: the listing of the batch's prefix, where it stands; None before its first page.
    :param manifest: the same of the batch's manifest.
    :param denials: what S3 has denied to this worker.
    :param forbidden: what the service has answered with 403.
    :param left_over: what it knows of rows that earlier runs left pending.
    :param ahead: images that it has read ahead of the room for them.
    :param told_to_stop: set from outside to claim nothing more; the worker finishes the POSTs that are on their way.
    :param open_other_account: opens the client of a connection, if it still is that of an account.
    :param claims_until: when the worker claims nothing more by itself, so that its POSTs end before Airflow cuts the
        task off at ``execution_timeout``; None if the task may take as long as it likes.
    :param probe_until: until when this worker alone may try whether the service accepts again, after a no.
    :param access_checked: whether the free read before the first POST has been made.
    """

    images: ImageStore
    try_number: int | None = None
    holder: str = field(default_factory=new_holder)
    access_checked: bool = False
    listing: PrefixListing | None = None
    manifest: ManifestReader | None = None
    denials: Denials = field(default_factory=Denials)
    forbidden: Forbidden = field(default_factory=Forbidden)
    left_over: LeftOver = field(default_factory=LeftOver)
    ahead: ReadAhead = field(default_factory=ReadAhead)
    told_to_stop: bool = False
    open_other_account: Callable[[str, str], AbstractAsyncContextManager[MidjourneyClient | None]] = no_other_account
    claims_until: datetime | None = None
    probe_until: datetime | None = None

    @property
    def stopping(self) -> bool:
        """Whether nothing more is claimed."""
        return self.told_to_stop or (self.claims_until is not None and datetime.now(UTC) >= self.claims_until)

    def check_stop(self) -> None:
        """Break off what takes long, from any thread.

        :raises StoppedError: nothing more is claimed, so nothing more has to be found.
        """
        if self.stopping:
            raise StoppedError
