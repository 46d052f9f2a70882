"""Sends ``notifyHook`` callbacks: once, unsigned, without a retry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx

from airflow_midjourney.testing.simulator.effects import CallbackFault
from airflow_midjourney.testing.simulator.model import SimulatedTask, TaskStatus

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.counters import Counters
    from airflow_midjourney.testing.simulator.scenarios import ScenarioBook

_AT_ONCE: Final = 10

Payload = Callable[[SimulatedTask], bytes]


class Callbacks:
    """Tells a task's ``notifyHook`` about SUBMITTED, about IN_PROGRESS where that is seen, and about the end.

    As in novicezk and trueai: ten at a time, no time limit, no retry; the body shows the task as it is
    when it is sent.

    :param payload: makes the body for a task.
    """

    def __init__(self, payload: Payload, counters: Counters, scenarios: ScenarioBook) -> None:
        self.pause = 0.0
        self._payload = payload
        self._counters = counters
        self._scenarios = scenarios
        self._client: httpx.AsyncClient | None = None
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._sendings: set[asyncio.Task[None]] = set()

    def under_way(self, task: SimulatedTask) -> None:
        """The task has started, or the bot has answered for the first time."""
        if task.fields.notify_hook:
            self._start(self._tell_under_way(task))

    def ended(self, task: SimulatedTask) -> None:
        """The task has ended."""
        if task.fields.notify_hook:
            self._start(self._tell_ended(task))

    async def wait_for(self, task: SimulatedTask) -> None:
        """Wait until the task has ended and everything has been told."""
        while not task.ended:
            await asyncio.sleep(0.01)
        await asyncio.gather(*self._sendings, return_exceptions=True)

    async def close(self) -> None:
        """Stop at once, whatever is still to be told."""
        for sending in self._sendings:
            sending.cancel()
        await asyncio.gather(*self._sendings, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _tell_under_way(self, task: SimulatedTask) -> None:
        faults = self._faults(task)
        if faults & {CallbackFault.REVERSED, CallbackFault.ALREADY_ENDED}:
            while not task.ended:
                await asyncio.sleep(0.01)
        if CallbackFault.REVERSED in faults:
            await asyncio.sleep(0.1)
            await self._send(task, self._as_submitted(task), faults)
        else:
            await self._send(task, None, faults)

    async def _tell_ended(self, task: SimulatedTask) -> None:
        faults = self._faults(task)
        if CallbackFault.ALREADY_ENDED in faults:
            await asyncio.sleep(0.1)
        await self._send(task, None, faults)
        if CallbackFault.DUPLICATED in faults:
            await self._send(task, None, faults)
        if CallbackFault.FAILURE_AFTER_SUCCESS in faults and task.status is TaskStatus.SUCCESS:
            await self._send(task, self._altered(task, task.id, TaskStatus.FAILURE), faults)
        if CallbackFault.FORGED in faults:
            await self._send(task, self._altered(task, task.id[::-1], TaskStatus.SUCCESS), faults)

    async def _send(self, task: SimulatedTask, body: bytes | None, faults: set[CallbackFault]) -> None:
        if CallbackFault.NONE in faults or not task.fields.notify_hook:
            return
        if CallbackFault.LATE in faults:
            await asyncio.sleep(self.pause)
        async with self._gate:
            if self._client is None:
                self._client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 - they wait for ever too
            try:
                answer = await self._client.post(
                    task.fields.notify_hook,
                    content=self._payload(task) if body is None else body,
                    headers={"Content-Type": "application/json", "x-simulator": "1"},
                )
            except (httpx.HTTPError, httpx.InvalidURL):
                self._counters.callbacks["unreachable"] += 1
            else:
                self._counters.callbacks["delivered" if answer.is_success else "refused"] += 1

    def _faults(self, task: SimulatedTask) -> set[CallbackFault]:
        return set(self._scenarios.playing(CallbackFault, task.image.sha256))

    def _as_submitted(self, task: SimulatedTask) -> bytes:
        earlier = _copy(task, task.id, TaskStatus.SUBMITTED)
        earlier.progress, earlier.finish_time, earlier.text, earlier.image_url = "0%", None, None, None
        return self._payload(earlier)

    def _altered(self, task: SimulatedTask, task_id: str, status: TaskStatus) -> bytes:
        altered = _copy(task, task_id, status)
        if status is TaskStatus.FAILURE:
            altered.progress, altered.fail_reason = "", "任务超时"
        return self._payload(altered)

    def _start(self, telling: Coroutine[Any, Any, None]) -> None:
        sending = asyncio.get_running_loop().create_task(telling)
        self._sendings.add(sending)
        sending.add_done_callback(self._sendings.discard)


def _copy(task: SimulatedTask, task_id: str, status: TaskStatus) -> SimulatedTask:
    return replace(task, id=task_id, status=status)
