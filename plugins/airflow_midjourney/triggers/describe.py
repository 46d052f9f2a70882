"""Watching batches from the triggerer: settle, look, and wake the task when there is something to do."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_midjourney.describe.model.errors import DescribeError
from airflow_midjourney.runtime import find_watch_post
from airflow_midjourney.triggers.threads import in_daemon_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from contextlib import AbstractContextManager

    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.engine.shared_watch import Lookout, Seat
    from airflow_midjourney.runtime import WatchPost

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
            yield await self._watch()
        except DescribeError as error:
            # The worker finds the same, and can say it with retries and callbacks as they should be.
            self.log.warning("Waking the task, which will say why: %s", error)
            yield _event(WakeReason.STOP)

    async def _watch(self) -> TriggerEvent:
        news = asyncio.Event()
        with ExitStack() as stack:
            seats = [stack.enter_context(taken) for taken in await self._seats(news)]
            from airflow_midjourney.describe.engine.pause_report import PauseReport

            pauses = [PauseReport(self.log.info) for _ in seats]
            while True:
                await news.wait()
                news.clear()
                for seat, pause in zip(seats, pauses, strict=True):
                    if seat.error is not None:
                        raise seat.error
                    if seat.progress is not None:
                        pause.tell(seat.progress)
                reason = self._reason(seats)
                if reason is not None:
                    return _event(reason, open=sum(seat.progress.open.total for seat in seats if seat.progress))

    async def _seats(self, news: asyncio.Event) -> Sequence[AbstractContextManager[Seat]]:
        """Find out where each batch is watched."""
        # The first import takes a second or so, in which the loop has others to attend to.
        await asyncio.to_thread(import_module, "airflow_midjourney.describe.engine.shared_watch")
        from airflow_midjourney.describe.table.batches import read_batch
        from airflow_midjourney.hooks.image_prompts import open_metadata

        database = await in_daemon_thread(partial(open_metadata, self.db_conn_id))
        posts: dict[str, WatchPost] = {}
        seats = []
        for batch_id in self.batch_ids:
            conn_id = (await database.read(read_batch, batch_id)).options.mj_conn_id
            if conn_id not in posts:
                posts[conn_id] = await in_daemon_thread(partial(find_watch_post, self.db_conn_id, conn_id))
            seats.append(_taken_seat(posts[conn_id], batch_id, news))
        return seats

    def _reason(self, seats: Sequence[Seat]) -> WakeReason | None:
        if all(seat.progress is not None and self._has_ended(seat.progress) for seat in seats):
            return WakeReason.ENDED
        if any(seat.has_room for seat in seats):
            return WakeReason.ROOM
        return None

    def _has_ended(self, progress: Progress) -> bool:
        if self.until is Until.SUBMITTED:
            return progress.all_submitted
        return progress.all_ended and not (self.until is Until.UNCAPPED and progress.waits_for_tomorrow)


#: The lookouts of each event loop; a triggerer has one loop.
_lookouts: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[WatchPost, Lookout]] = WeakKeyDictionary()


@contextmanager
def _taken_seat(post: WatchPost, batch_id: str, news: asyncio.Event) -> Iterator[Seat]:
    """Let the lookout of an account watch a batch; there is one for all triggers that wait for it."""
    from airflow_midjourney.describe.engine.shared_watch import Lookout

    known = _lookouts.setdefault(asyncio.get_running_loop(), {})
    lookout = known.get(post)
    if lookout is None or lookout.has_ended:
        for ended in [former for former, one in known.items() if one.has_ended]:
            del known[ended]
        lookout = known[post] = Lookout(post.open_watcher)
    seat = lookout.take_seat(batch_id, news)
    try:
        yield seat
    finally:
        lookout.leave(seat)


def _event(reason: WakeReason, **counts: int) -> TriggerEvent:
    return TriggerEvent({"reason": reason.value, **counts})  # type: ignore[no-untyped-call]
