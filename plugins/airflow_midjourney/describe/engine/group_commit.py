"""Few large transactions in place of many small ones: what comes up while one is under way goes with the next."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
Result = TypeVar("Result")


class Gathered(Generic[Item, Result]):
    """Does something for many callers at once. Belongs to one event loop.

    :param do: does it for some items and gives a result for each, in their order. What it raises, all of them get.
    :param at_most: items that go together.
    :param linger: seconds that the first item waits for others.
    """

    def __init__(
        self, do: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]], *, at_most: int, linger: float
    ) -> None:
        self._do = do
        self._at_most = at_most
        self._linger = linger
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None
        self._enough = asyncio.Event()

    async def __call__(self, item: Item) -> Result:
        """Do it for one item, together with what others ask for meanwhile."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if len(self._waiting) >= self._at_most:
            self._enough.set()
        if self._task is None:
            self._task = asyncio.create_task(self._work_off())
        return await done

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await self._wait_for_others()
                some, self._waiting = self._waiting[: self._at_most], self._waiting[self._at_most :]
                await self._do_some(some)
        finally:
            self._task = None

    async def _wait_for_others(self) -> None:
        if len(self._waiting) < self._at_most:
            self._enough.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._enough.wait(), self._linger)

    async def _do_some(self, some: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._do([item for item, _ in some])
        except Exception as error:  # noqa: BLE001 - it is theirs who asked
            for _, done in some:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), result in zip(some, results, strict=True):
            if not done.done():
                done.set_result(result)
