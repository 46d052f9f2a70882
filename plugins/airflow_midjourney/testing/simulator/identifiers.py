"""Task ids and the other numbers that the services hand out."""

from __future__ import annotations

import random
import string
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def now_milliseconds() -> int:
    """Unix milliseconds, the unit of all times in the native services."""
    return time.time_ns() // 1_000_000


class IdentifierSource:
    """Makes ids as novicezk and trueai do: 13 digits of milliseconds and 3 random ones.

    Unlike there, two submits of one millisecond never get the same id by accident; the scenario
    ``id_collision`` makes it happen on purpose.
    """

    def __init__(self, seed: int | None, clock: Callable[[], int] = now_milliseconds) -> None:
        self._random = random.Random(seed)
        self._clock = clock
        self._recent: dict[str, None] = {}
        self.last: str | None = None

    def task_id(self) -> str:
        """A new id of 16 digits."""
        moment = self._clock()
        identifier = f"{moment}{self._random.randrange(1000):03d}"
        while identifier in self._recent:
            moment += 1
            identifier = f"{moment}{self._random.randrange(1000):03d}"
        self._recent[identifier] = None
        if len(self._recent) > 5000:
            self._recent.pop(next(iter(self._recent)))
        self.last = identifier
        return identifier

    def snowflake(self) -> str:
        """A Discord-like id of 19 digits."""
        return f"1{self._random.randrange(10**18):018d}"

    def request_id(self) -> str:
        """A request id as new-api prints it."""
        letters = "".join(self._random.choices(string.ascii_letters + string.digits, k=8))
        return f"{time.strftime('%Y%m%d%H%M%S')}{self._random.randrange(10**9):09d}{letters}"

    def signature(self) -> str:
        """64 hexadecimal digits, as in the addresses of Discord's attachments."""
        return f"{self._random.getrandbits(256):064x}"

    def spread(self, value: float, share: float) -> float:
        """A value somewhere within ``share`` around ``value``."""
        return value * (1 + self._random.uniform(-share, share))

    def shuffled(self, items: list[Any]) -> list[Any]:
        """The same things in another order."""
        return self._random.sample(items, len(items))
