"""Waits of a simulator that an order ends early."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Rests:
    """Where tasks and answers get their waits from. Must be used from one event loop only."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    def begin(self) -> Rest:
        """Give the waits of one task or answer."""
        return Rest(self._over)

    def end(self) -> None:
        """Let everything that has begun go on at once, to its end."""
        self._over.set()
        self._over = asyncio.Event()


class Rest:
    """The waits of one task or answer.

    :param over: set when it is not to wait any more.
    """

    def __init__(self, over: asyncio.Event) -> None:
        self._over = over

    async def wait(self, seconds: float) -> None:
        """Wait, but not when an order has ended it."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)
