"""What a move is: what it asks of a row, and what it writes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import true

from airflow_midjourney.describe.model.status import Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement

    from airflow_midjourney.describe.table.database import Transaction

#: Of a move that adds a row, and of one that any row may make.
UNLISTED: Final = ()
ANY_STATUS: Final = tuple(Status)


@dataclass(frozen=True, slots=True)
class Transition:
    """What a move asks of a row, and what it writes. Each also stamps ``updated_at``, but for marks.

    :param means: what happens, for the data dictionary.
    :param source: the statuses that the row may have; :data:`UNLISTED` for a move that adds it.
    :param target: the status that it has then; None where that stays.
    :param held: columns that must hold what the writer holds: the name on the lease, or the token of the submission.
    :param takes: columns whose values the writer brings.
    :param may_take: columns that the writer brings where it knows them.
    :param stamps: columns that get the time of the transaction.
    :param empties: columns that are emptied.
    :param zeroes: columns that are set to zero.
    :param is_mark: it is put beside the row for another process, and is no write of the row itself.
    """

    means: str
    source: tuple[Status, ...]
    target: Status | None = None
    held: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    may_take: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    empties: tuple[str, ...] = ()
    zeroes: tuple[str, ...] = ()
    is_mark: bool = False


class Move(Enum):
    """A move of any kind. Each kind is an enum of its own that has its moves as members."""

    _value_: Transition

    def columns(self, tx: Transaction, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Give every column that the move writes.

        :param facts: the columns that the writer brings.
        :raises TypeError: if it brings others than the move takes.
        """
        move = self.value
        if not set(move.takes) <= set(facts) <= {*move.takes, *move.may_take}:
            odd = sorted(set(facts) ^ set(move.takes))
            raise TypeError(f"{self.name} takes other columns than it was given: see {', '.join(odd)}.")
        status = {} if move.target is None else {"status": move.target.value}
        fixed = dict.fromkeys(move.empties) | dict.fromkeys(move.zeroes, 0) | dict.fromkeys(move.stamps, tx.now)
        written = {} if move.is_mark else {"updated_at": tx.now}
        return status | fixed | dict(facts) | written

    def guard(self, tx: Transaction) -> ColumnElement[bool]:
        """Give the condition that a row can make the move."""
        status = tx.tables.images.c.status
        match self.value.source:
            case (only,):
                return status == only
            case every if every == ANY_STATUS:
                return true()
            case some:
                return status.in_(some)
