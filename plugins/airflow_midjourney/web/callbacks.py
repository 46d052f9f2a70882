"""The receiver of the service's callbacks. Mounted without a login, and apart from the pages, which all ask for one.

A callback only makes the next poll come earlier: the receiver marks the row whose value it bears, and the poller then
asks the service. The body is never read, kept or logged. Every request gets the same answer, 204, so a stranger learns
nothing and the service never waits for our database. A flood costs at most five small updates a second.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI, Response

from airflow_midjourney.describe.service.callback_url import digest_of, is_callback
from airflow_midjourney.describe.table.callbacks import mark_called
from airflow_midjourney.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

log = logging.getLogger(__name__)

#: Callbacks that wait to be written in one update; more are dropped, and polls find what they announced.
MOST_WAITING: Final = 500

#: Seconds between two updates of one process, and after one that failed.
PAUSE: Final = 0.2
PAUSE_AFTER_FAILURE: Final = 30.0


class Doorbell:
    """Marks rows: one update at a time, for all callbacks that have come since the last one.

    Belongs to one event loop and never blocks it.

    :param mark: writes digests of callbacks.
    """

    def __init__(self, mark: Callable[[Collection[str]], Awaitable[object]]) -> None:
        self._mark = mark
        self._waiting: set[str] = set()
        self._writing: asyncio.Task[None] | None = None

    def ring(self, digest: str) -> None:
        """Have a callback written soon, unless too many are waiting."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.add(digest)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            digests, self._waiting = self._waiting, set()
            try:
                await self._mark(digests)
            except Exception as error:  # noqa: BLE001 - whatever it is: the callers cannot help it, and polls go on
                log.warning("Callbacks could not be noted, polling goes on without them: %s", error)
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            await asyncio.sleep(PAUSE)


def make_receiver(doorbell: Doorbell | None) -> FastAPI:
    """Make the app.

    :param doorbell: writes the marks; None to answer and do nothing.
    """

    async def nothing_to_say(_request: Any, _error: Exception) -> Response:
        return Response(status_code=204)

    receiver = FastAPI(
        title="Midjourney callbacks",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={404: nothing_to_say, 405: nothing_to_say},
    )

    @receiver.post("/{value}", status_code=204, response_class=Response)
    async def take(value: str) -> Response:
        """Answer at once; the body is never read."""
        if doorbell is not None and is_callback(value):
            doorbell.ring(digest_of(value))
        return Response(status_code=204)

    return receiver


async def _mark(digests: Collection[str]) -> None:
    from airflow_midjourney.hooks.image_prompts import open_metadata

    database = await asyncio.to_thread(open_metadata)
    await database.write(mark_called, digests)


def _is_on() -> bool:
    try:
        return read_settings().callbacks
    except Exception as error:  # noqa: BLE001 - Airflow's core and its SDK have errors of their own for this
        log.warning("Callbacks are not taken, since the section [midjourney] cannot be read: %s", error)
        return False


#: What the plugin mounts. Whether it listens is decided once in the life of an API server.
app = make_receiver(Doorbell(_mark) if _is_on() else None)
