"""One shared poller per account and process, to which batches subscribe.

The poller asks the service, reads which rows have changed, and tells the subscribers whose batches they concern. A
round costs a handful of reads, however many batches wait. The poller reads where a batch stands when a row of it has
changed, when there is room for it, and else once in a minute or more (``LOOK_ANYWAY_AFTER``).
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from airflow_midjourney.describe.engine.advance import settle
from airflow_midjourney.describe.engine.precedence import SAID_EVERY, say_waits, wait_of
from airflow_midjourney.describe.engine.progress import look, stop_if_hopeless
from airflow_midjourney.describe.engine.waiting import SHORTEST_WAIT, pause, pause_before_next_look, worth_waking
from airflow_midjourney.describe.model.errors import DescribeError
from airflow_midjourney.describe.table.activity import feel_pulse
from airflow_midjourney.describe.table.precedence import write_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from airflow_midjourney.describe.engine.context import Watcher
    from airflow_midjourney.describe.engine.progress import Progress
    from airflow_midjourney.describe.model.submit_window import Opening
    from airflow_midjourney.describe.table.accounts import AccountState
    from airflow_midjourney.describe.table.activity import ActiveRow, Pulse

#: Seconds after which a batch is looked at though nothing of it seems to have changed, and that each batch adds.
LOOK_ANYWAY_AFTER: Final = 60.0
LOOK_ANYWAY_PER_BATCH: Final = 0.5

#: Batches that are looked at in one round, and of these for the sake of room: a poll must not wait for hundreds.
LOOKS_PER_ROUND: Final = 40
LOOKS_FOR_ROOM: Final = 5

#: Seconds after which room that was given to a batch and not used is given to others.
ROOM_KEPT_FOR: Final = 30.0


@dataclass(eq=False)
class Seat:
    """One subscription: a batch that a trigger waits for.

    :param news: set whenever something here has changed.
    :param progress: where the batch stood when it was last looked at.
    :param has_room: whether a worker should be woken for it.
    :param error: why waiting makes no sense any more.
    """

    batch_id: str
    news: asyncio.Event
    progress: Progress | None = None
    has_room: bool = False
    error: Exception | None = None
    look_at: float = 0.0
    asked_at: float = field(default_factory=time.monotonic)

    def concerns(self, row: ActiveRow) -> bool:
        """Say whether what happened to a row may change where the batch stands."""
        if self.progress is None or row.batch_id == self.batch_id:
            return True
        scope = self.progress.batch.scope
        if scope.bucket != row.bucket or scope.bot_type != row.bot_type:
            return False
        if self.progress.open.sharing or scope.manifest:
            return True
        return row.key in scope.keys or row.key.startswith(scope.prefixes)

    @property
    def wants_room(self) -> bool:
        """Whether the batch has something left to submit or to list, and may."""
        now = self.progress
        if now is None or self.has_room or now.submissions_left == 0:
            return False
        return now.can_list or now.open.to_submit > 0

    @property
    def turn(self) -> tuple[int, float]:
        """What seats that want room are sorted by."""
        priority = self.progress.batch.options.priority if self.progress else 0
        return -priority, self.asked_at

    @property
    def quickest_seconds(self) -> float | None:
        """How long the service takes for an image at least, as of the last look."""
        return None if self.progress is None else self.progress.quickest_seconds

    def fail(self, error: Exception) -> None:
        """Tell that waiting makes no sense any more."""
        self.error = error
        self.news.set()


class Lookout:
    """The shared poller: settles one account and watches the batches of all seats, until the last seat is given up.

    Belongs to one event loop and never blocks it.

    :param open_watcher: makes the watcher, within the lookout's own task.
    :ivar has_ended: whether it looks at nothing any more; then another one has to be made.
    """

    def __init__(self, open_watcher: Callable[[], AbstractAsyncContextManager[Watcher]]) -> None:
        self._open_watcher = open_watcher
        self._seats: list[Seat] = []
        self._rows: frozenset[ActiveRow] = frozenset()
        self._on_their_way: frozenset[ActiveRow] = frozenset()
        self._felt_at: datetime | None = None
        self._given: dict[str, _Given] = {}
        self._says_at = time.monotonic() + SAID_EVERY
        self._stirred = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.has_ended = False

    def take_seat(self, batch_id: str, news: asyncio.Event) -> Seat:
        """Subscribe: watch a batch from now on."""
        seat = Seat(batch_id, news)
        self._seats.append(seat)
        self._stirred.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return seat

    def leave(self, seat: Seat) -> None:
        """End a subscription. A poll that has begun is finished: it has the account's turn until then."""
        if seat in self._seats:
            self._seats.remove(seat)
        self._stirred.set()

    async def _run(self) -> None:
        try:
            async with self._open_watcher() as watcher:
                while self._seats:
                    self._stirred.clear()
                    seconds = await self._round(watcher)
                    # Hundreds may subscribe at once: not each of them is worth a round of its own.
                    await asyncio.sleep(SHORTEST_WAIT)
                    await pause(watcher.database, watcher.account, seconds - SHORTEST_WAIT, self._stirred)
                self.has_ended = True
        except Exception as error:  # noqa: BLE001 - whatever it is, no subscriber may wait for ever
            self.has_ended = True
            seats, self._seats = self._seats, []
            for seat in seats:
                seat.fail(error)

    async def _round(self, watcher: Watcher) -> float:
        """Do everything once.

        :return: the seconds until the next round.
        """
        await settle(watcher)
        pulse = await watcher.database.read(feel_pulse, watcher.account.identity, self._places(), self._felt_at)
        self._compare(pulse)
        now = time.monotonic()
        due = sorted((seat for seat in self._seats if seat.look_at <= now), key=lambda seat: seat.look_at)
        for seat in due[:LOOKS_PER_ROUND]:
            await self._look(watcher, seat)
        await self._give_room(watcher, pulse)
        await self._keep_waiting(watcher)
        if len(due) > LOOKS_PER_ROUND:
            return 0.0
        known = sorted((seat for seat in self._seats if seat.progress), key=lambda seat: not seat.wants_room)
        opening = watcher.account.opening(pulse.account.now)
        looks = (_as_of(pulse.account, seat.progress, opening) for seat in known if seat.progress)
        return next(map(pause_before_next_look, looks), SHORTEST_WAIT)

    def _places(self) -> set[tuple[str, str]]:
        scopes = (seat.progress.batch.scope for seat in self._seats if seat.progress)
        return {(scope.bucket, scope.bot_type.value) for scope in scopes}

    def _compare(self, pulse: Pulse) -> None:
        """Find out for whom there is news, and which room has been used."""
        now = time.monotonic()
        changed = (pulse.rows - self._rows) | (self._on_their_way - pulse.rows)
        for seat in self._seats:
            if any(map(seat.concerns, changed)):
                seat.look_at = now
        for row in pulse.on_their_way - self._on_their_way:
            if row.batch_id in self._given:
                self._given[row.batch_id].left -= 1
        self._rows, self._on_their_way, self._felt_at = pulse.rows, pulse.on_their_way, pulse.account.now

    async def _look(self, watcher: Watcher, seat: Seat) -> None:
        try:
            seat.progress = await look(watcher, seat.batch_id)
            await say_waits(watcher, [seat.progress])
            await stop_if_hopeless(watcher, seat.progress.batch)
        except DescribeError as error:
            self.leave(seat)
            seat.fail(error)
            return
        patience = LOOK_ANYWAY_AFTER + LOOK_ANYWAY_PER_BATCH * len(self._seats)
        seat.look_at = time.monotonic() + patience * random.uniform(0.8, 1.2)  # noqa: S311
        seat.news.set()

    async def _give_room(self, watcher: Watcher, pulse: Pulse) -> None:
        """Wake as many as there is room for, and not all for the same slots.

        The highest priority comes first, and of one priority the longest waiting.
        """
        limit = watcher.account.max_in_flight
        given = sum(given.left for given in self._still_given())
        wanting = sorted((seat for seat in self._seats if seat.wants_room), key=lambda seat: seat.turn)
        for seat in wanting[:LOOKS_FOR_ROOM]:
            room = pulse.room_soon(watcher.account, seat.quickest_seconds) - given
            if room <= 0 and not (seat.progress and seat.progress.can_list):
                continue
            await self._look(watcher, seat)
            progress = seat.progress
            if progress is None or seat.error is not None:
                continue
            seat.asked_at = time.monotonic()
            room -= progress.account.kept
            if worth_waking(replace(progress, room=max(0, room)), limit):
                wanted = min(room, progress.open.claimable)
                self._given[seat.batch_id] = _Given(wanted, time.monotonic() + ROOM_KEPT_FOR)
                given += wanted
                seat.has_room = True
                seat.news.set()

    async def _keep_waiting(self, watcher: Watcher) -> None:
        """Say now and then for all seats at once that their batches still wait for slots: their workers are gone."""
        now = time.monotonic()
        if now < self._says_at:
            return
        self._says_at = now + SAID_EVERY
        waits = [wait_of(seat.progress, watcher.account) for seat in self._seats if seat.progress]
        if waiting := [wait for wait in waits if wait.slots]:
            await watcher.database.write(write_waits, waiting)

    def _still_given(self) -> Iterable[_Given]:
        now = time.monotonic()
        self._given = {key: given for key, given in self._given.items() if given.left > 0 and given.until > now}
        return self._given.values()


def _as_of(account: AccountState, progress: Progress, opening: Opening | None) -> Progress:
    """Give where a batch stands, its account as it was read last, but for the slots kept for others."""
    return replace(progress, account=replace(account, kept=progress.account.kept), opening=opening)


@dataclass
class _Given:
    """Room that a batch's worker is going to use.

    :param left: slots that it has not used yet.
    """

    left: int
    until: float
