"""Calling something at a moment unless it is over before: one thread for all, where a timer each takes a new thread."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Alarms:
    """Moments at which something is called, from a thread that is started by the first of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._set: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = 0.0
        self._thread: threading.Thread | None = None

    @contextmanager
    def at(self, moment: float, ring: Callable[[], None]) -> Iterator[None]:
        """Call something at a moment of the monotonic clock, unless the block has ended by then.

        It is called from another thread, and must not take long.
        """
        alarm = object()
        with self._changed:
            self._set[alarm] = (moment, ring)
            if self._thread is None or not self._thread.is_alive():
                self._wakes_at = moment
                self._thread = threading.Thread(target=self._watch, name="reading-time", daemon=True)
                self._thread.start()
            elif moment < self._wakes_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._set.pop(alarm, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                due = [alarm for alarm, (moment, _) in self._set.items() if moment <= now]
                rings = [self._set.pop(alarm)[1] for alarm in due]
                if not rings:
                    # What is set later wakes this thread only if it is due before.
                    self._wakes_at = min((moment for moment, _ in self._set.values()), default=threading.TIMEOUT_MAX)
                    self._changed.wait(min(self._wakes_at - now, threading.TIMEOUT_MAX))
            for ring in rings:
                ring()
