"""What a scenario is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_midjourney.testing.simulator.settings import DialectName

if TYPE_CHECKING:
    from airflow_midjourney.testing.simulator.effects import Effect


@dataclass(frozen=True, slots=True)
class Scenario:
    """One named way to misbehave (or to behave in a particular way).

    :param explanation: one line for ``--list-scenarios``.
    :param first: it plays for the first so many occasions unless told otherwise; None for all.
    :param dialects: the services that can play it.
    """

    name: str
    explanation: str
    effect: Effect
    first: int | None = None
    dialects: frozenset[DialectName] = frozenset(DialectName)


#: Scenarios that only one of the services can play.
TRUEAI: Final = frozenset({DialectName.TRUEAI})
NEW_API: Final = frozenset(name for name in DialectName if name.startswith("new-api"))
NEW_API_2026: Final = frozenset({DialectName.NEW_API_2026})
NOVICEZK_FAMILY: Final = frozenset({DialectName.NOVICEZK}) | NEW_API
