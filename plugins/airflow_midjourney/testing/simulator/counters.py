"""What the outside may want to know afterwards: who asked what, what was accepted, and what it cost."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Bill:
    """What one image, or one ``state``, has brought about."""

    accepted: int = 0
    billed: int = 0
    refunded: int = 0

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return {"accepted": self.accepted, "billed": self.billed, "refunded": self.refunded}


@dataclass(slots=True)
class ClosedTimes:
    """The times in which the service said no to everybody, and what was asked of it meanwhile."""

    requests: int = 0
    submits: int = 0
    seconds: float = 0.0
    periods: int = 0
    since: float | None = None

    def begin(self) -> None:
        """The service said no; does nothing if it had said so already."""
        if self.since is None:
            self.since = time.monotonic()
            self.periods += 1

    def end(self) -> None:
        """The service has room again."""
        if self.since is not None:
            self.seconds += time.monotonic() - self.since
            self.since = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        running = 0.0 if self.since is None else time.monotonic() - self.since
        return {
            "requests": self.requests,
            "submits": self.submits,
            "seconds": round(self.seconds + running, 3),
            "periods": self.periods,
            "closed_now": self.since is not None,
        }


@dataclass(slots=True)
class Counters:
    """All counts of one simulator since it started or was reset."""

    requests: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    callbacks: Counter[str] = field(default_factory=Counter)
    total: Bill = field(default_factory=Bill)
    images: dict[str, Bill] = field(default_factory=dict)
    states: dict[str, Bill] = field(default_factory=dict)
    states_of_image: dict[str, Counter[str]] = field(default_factory=dict)
    closed: ClosedTimes = field(default_factory=ClosedTimes)
    bytes_received: int = 0

    def request(self, route: str, size: int) -> None:
        """One request for a route of the service, whatever becomes of it."""
        self.requests[route] += 1
        self.bytes_received += size
        if self.closed.since is not None:
            self.closed.requests += 1
            if route == "submit":
                self.closed.submits += 1

    def accept(self, image: str, state: str | None) -> None:
        """A task was made.

        :param image: SHA-256 of the bytes received.
        """
        self.closed.end()
        for bill in self._bills(image, state):
            bill.accepted += 1
        self.states_of_image.setdefault(image, Counter())[state or ""] += 1

    def charge(self, image: str, state: str | None) -> None:
        """The task was paid for."""
        for bill in self._bills(image, state):
            bill.billed += 1

    def refund(self, image: str, state: str | None) -> None:
        """The price of the task was given back."""
        for bill in self._bills(image, state):
            bill.refunded += 1

    def refuse(self, reason: str) -> None:
        """A submit was turned away because of that one request."""
        self.refused[reason] += 1

    def close(self, reason: str) -> None:
        """A request was turned away, and others would be too."""
        self.refused[reason] += 1
        self.closed.begin()

    def as_dict(self, price: float) -> dict[str, Any]:
        """For JSON, without the single images.

        :param price: of one description.
        """
        return {
            "requests": dict(self.requests),
            **self.total.as_dict(),
            "cost": round((self.total.billed - self.total.refunded) * price, 6),
            "refused": dict(self.refused),
            "ended": dict(self.ended),
            "callbacks": dict(self.callbacks),
            "while_closed": self.closed.as_dict(),
            "bytes_received": self.bytes_received,
        }

    def bills_as_dict(self) -> dict[str, Any]:
        """For JSON: one entry per image and per ``state``."""
        return {
            "images": {
                image: {**bill.as_dict(), "states": dict(self.states_of_image.get(image, {}))}
                for image, bill in self.images.items()
            },
            "states": {state: bill.as_dict() for state, bill in self.states.items()},
        }

    def clear(self) -> None:
        """Start counting anew."""
        fresh = Counters()
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))

    def _bills(self, image: str, state: str | None) -> tuple[Bill, ...]:
        of_image = self.images.setdefault(image, Bill())
        of_state = self.states.setdefault(state or "", Bill())
        return self.total, of_image, of_state
