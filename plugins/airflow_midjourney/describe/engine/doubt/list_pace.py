"""How often the service's list is read to its end for submissions that it does not show: it may be megabytes long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

#: A list of so many tasks costs little, and is read for each poll: a short one loses sight of its older tasks soon.
SHORT_LIST: Final = 200

#: Else the pause after a list is this share of a submission's age: each is looked for ever more rarely.
AGE_SHARE: Final = 0.25


@dataclass(slots=True)
class ListPace:
    """What one process remembers of the service's list.

    :param read_at: when it last read it to the end, by the database's clock.
    :param tasks: that were on it.
    """

    read_at: datetime | None = None
    tasks: int = 0

    def is_due(self, claimed_at: datetime, now: datetime) -> bool:
        """Say whether a submission that was claimed at a moment is worth another list."""
        if self.read_at is None or self.tasks <= SHORT_LIST or claimed_at >= self.read_at:
            return True
        return now - self.read_at >= (now - claimed_at) * AGE_SHARE
