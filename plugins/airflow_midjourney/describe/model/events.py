"""What the engine tells those who keep count: each event once, after the transaction that made it true."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

log = logging.getLogger(__name__)


class EventKind(StrEnum):
    """What can happen to a row, or to the bill."""

    SUBMITTED = "submitted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    SHARED = "shared"
    BILLED = "billed"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a committed transaction has done.

    :param rows: to how many rows.
    :param reason: why, for failed and rejected rows.
    :param waited: seconds between a submission and its end, where that has just come.
    :param cost: what a billed submission costs, where a price is set.
    """

    kind: EventKind
    rows: int = 1
    reason: str | None = None
    waited: float | None = None
    cost: Decimal | None = None
    currency: str | None = None


class Observer(Protocol):
    """A receiver of events, such as metrics. Called from any thread; must neither block nor raise."""

    def happened(self, event: Event) -> None:
        """Take note of an event. A process that dies between its commit and this call never reports it."""

    def in_flight(self, service: str, images: int) -> None:
        """Take note of how many images the account of a service connection has on their way."""


class NoObserver:
    """Keeps no count."""

    def happened(self, event: Event) -> None:
        """Do nothing."""

    def in_flight(self, service: str, images: int) -> None:
        """Do nothing."""


def tell(observer: Observer, events: Iterable[Event]) -> None:
    """Tell an observer; what goes wrong there is no business of the rows that are written already."""
    try:
        for event in events:
            observer.happened(event)
    except Exception:
        log.debug("Keeping count failed:", exc_info=True)
