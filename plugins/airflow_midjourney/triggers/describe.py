"""Watching batches from the triggerer: settle, look, and wake the task when there is something to do."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_midjourney.crews import open_watcher
from airflow_midjourney.describe.errors import DescribeError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_midjourney.describe.batch import Progress
    from airflow_midjourney.describe.crew import Watcher

#: Seconds before the first look: a task that is woken sooner may be woken before Airflow knows that it sleeps.
FIRST_LOOK_AFTER: Final = 10.0


class Until(StrEnum):
    """What the task waits for."""

    SUBMITTED = "submitted"
    ENDED = "ended"
    UNCAPPED = "uncapped"


class WakeReason(StrEnum):
    """Why the task is woken."""

    ROOM = "room"
    ENDED = "ended"
    STOP = "stop"


class BatchTrigger(BaseTrigger):
    """Wait until batches have ended, or a worker could submit more of them.

    Settles the account when it is this process's turn, so that answers are written while every worker sleeps; never
    lists, reads S3 or submits. A restart, or a move to another triggerer, starts it anew and loses nothing.

    The event holds a reason and counts: ``{"reason": "ended", "open": 0}``.

    :param batch_ids: the batches, all of one metadata table.
    :param db_conn_id: connection of the database with that table.
    :param until: ``submitted``, ``ended``, or ``uncapped`` to wait for the next day at a daily cap, too.
    """

    def __init__(self, *, batch_ids: list[str], db_conn_id: str, until: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.batch_ids = batch_ids
        self.db_conn_id = db_conn_id
        self.until = Until(until)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and arguments; ids and names only."""
        return (
            "airflow_midjourney.triggers.describe.BatchTrigger",
            {"batch_ids": list(self.batch_ids), "db_conn_id": self.db_conn_id, "until": self.until.value},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch until there is a reason to wake the task."""
        await asyncio.sleep(FIRST_LOOK_AFTER)
        try:
            async with AsyncExitStack() as stack:
                watchers = await self._watchers(stack)
                yield await self._watch(watchers)
        except DescribeError as error:
            # The worker finds the same, and can say it with retries and callbacks as they should be.
            self.log.warning("Waking the task, which will say why: %s", error)
            yield _event(WakeReason.STOP)

    async def _watchers(self, stack: AsyncExitStack) -> dict[str, Watcher]:
        """Open one watcher per service connection.

        :return: the watcher of each batch.
        """
        from airflow_midjourney.describe.table.batches import read_batch
        from airflow_midjourney.hooks.image_prompts import open_metadata

        database = await asyncio.to_thread(open_metadata, self.db_conn_id)
        by_connection: dict[str, Watcher] = {}
        watchers = {}
        for batch_id in self.batch_ids:
            conn_id = (await database.read(read_batch, batch_id)).options.mj_conn_id
            if conn_id not in by_connection:
                opened = open_watcher(self.db_conn_id, conn_id)
                by_connection[conn_id] = await stack.enter_async_context(opened)
            watchers[batch_id] = by_connection[conn_id]
        return watchers

    async def _watch(self, watchers: dict[str, Watcher]) -> TriggerEvent:
        from airflow_midjourney.describe.batch import look, settle, stop_if_hopeless
        from airflow_midjourney.describe.waiting import pause_before_next_look

        while True:
            for watcher in {id(one): one for one in watchers.values()}.values():
                await settle(watcher)
            states = []
            for batch_id, watcher in watchers.items():
                progress = await look(watcher, batch_id)
                await stop_if_hopeless(watcher, progress.batch)
                states.append((progress, watcher))
            reason = self._reason(states)
            if reason is not None:
                return _event(reason, open=sum(progress.open.total for progress, _ in states))
            await asyncio.sleep(min(pause_before_next_look(progress) for progress, _ in states))

    def _reason(self, states: list[tuple[Progress, Watcher]]) -> WakeReason | None:
        from airflow_midjourney.describe.waiting import worth_waking

        if all(self._has_ended(progress) for progress, _ in states):
            return WakeReason.ENDED
        if any(worth_waking(progress, watcher.account.max_in_flight) for progress, watcher in states):
            return WakeReason.ROOM
        return None

    def _has_ended(self, progress: Progress) -> bool:
        if self.until is Until.SUBMITTED:
            return progress.all_submitted
        return progress.all_ended and not (self.until is Until.UNCAPPED and progress.waits_for_tomorrow)


def _event(reason: WakeReason, **counts: int) -> TriggerEvent:
    return TriggerEvent({"reason": reason.value, **counts})  # type: ignore[no-untyped-call]
