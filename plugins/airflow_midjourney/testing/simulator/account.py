"""One account of the service: a few slots that work, and a short queue before them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Work = Callable[[], Awaitable[None]]


class Account:
    """Runs work in slots and lets some wait, exactly as novicezk's thread pool does.

    A slot is held for the whole life of its work. Must be used from one event loop only.
    """

    def __init__(self, slots: int, queue: int) -> None:
        self.slots = slots
        self.queue = queue
        self.high_water = 0
        self._running: dict[asyncio.Task[None], str] = {}
        self._waiting: deque[tuple[str, Work]] = deque()

    @property
    def running(self) -> int:
        """How many slots are taken."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """Whether the next one would be turned away."""
        return self.running >= self.slots and self.waiting >= self.queue

    def admit(self, name: str, work: Work) -> int | None:
        """Start the work or let it wait.

        :param name: by which it can be withdrawn.
        :return: how many waited before it came (so the first to wait reads 0), None if there is no room.
        """
        if self.full:
            return None
        ahead = self.waiting
        if self.running < self.slots:
            self._start(name, work)
        else:
            self._waiting.append((name, work))
        self.high_water = max(self.high_water, self.running + self.waiting)
        return ahead

    def withdraw(self, name: str) -> None:
        """Stop a piece of work, or take it out of the queue."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] != name)
        for task, running in self._running.items():
            if running == name:
                task.cancel()

    def resize(self, slots: int, queue: int) -> None:
        """Change the numbers; what runs goes on, what waits moves up."""
        self.slots, self.queue = slots, queue
        self._move_up()

    def drop_everything(self) -> None:
        """Forget what runs and waits, as a restart does."""
        self._waiting.clear()
        for task in self._running:
            task.cancel()
        self._running.clear()

    def _start(self, name: str, work: Work) -> None:
        async def held() -> None:
            await work()

        task = asyncio.get_running_loop().create_task(held())
        self._running[task] = name
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "A task crashed", "exception": error})
        self._move_up()

    def _move_up(self) -> None:
        while self._waiting and self.running < self.slots:
            self._start(*self._waiting.popleft())
