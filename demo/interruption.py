"""Ctrl-C and its relatives, noticed where it is safe to stop."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_NAMES: Final = {signal.SIGINT: "Ctrl-C"}

#: Seconds that a signal may wait until it is noticed.
_TICK: Final = 0.1


class StoppedError(Exception):
    """A person asked the demo to stop.

    :param number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """What to call it: ``Ctrl-C`` or the signal's name."""
        asked = signal.Signals(self.number)
        return _NAMES.get(asked, asked.name)


class Interruption:
    """Take note of signals instead of breaking off anywhere, so that no process is started and then forgotten."""

    def __init__(self) -> None:
        self._asked: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Listen from now on; under nohup, the end of the terminal stays ignored."""
        for number in _SIGNALS:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Stop here if a person asked for it.

        :raises StoppedError: if so.
        """
        if self._asked is not None:
            raise StoppedError(self._asked)

    def pause(self, seconds: float = _TICK) -> None:
        """Sleep a little.

        :raises StoppedError: if a person asked to stop.
        """
        self.check()
        time.sleep(min(seconds, _TICK))
        self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._asked = self._asked or number
