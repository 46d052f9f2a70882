"""Pauses that end early when a callback says that there is something to ask for."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.table import calls

if TYPE_CHECKING:
    from airflow_midjourney.describe.account import AccountSettings
    from airflow_midjourney.describe.table.database import Database

#: Seconds between two looks at whether a callback has come.
LISTENS_EVERY: Final = 1.0


async def pause(
    database: Database, account: AccountSettings, seconds: float, stirred: asyncio.Event | None = None
) -> None:
    """Wait; where callbacks are asked for, not longer than until one makes a poll due.

    Costs one small read a second, however many batches wait for the account.

    :param stirred: ends the pause, too.
    """
    deadline = time.monotonic() + seconds
    stirred = stirred or asyncio.Event()
    while not stirred.is_set() and (left := deadline - time.monotonic()) > 0:
        if not account.callbacks or left <= LISTENS_EVERY:
            await _wait(stirred, left)
            return
        await _wait(stirred, LISTENS_EVERY)
        if await database.read(calls.is_due, account.identity):
            return


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
