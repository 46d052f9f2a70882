"""Erasing a scope of images from the table: prompts, answers, keys and all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from airflow_midjourney.describe.table.erasing import count_on_their_way, erase_some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_midjourney.describe.scope import Scope
    from airflow_midjourney.describe.table.database import Database


@dataclass(slots=True)
class ErasureReport:
    """What was erased, and what was not.

    :param erased: rows, one per version of an image and bot.
    :param twins: described rows outside the scope that have the same bytes, and keep their prompts.
    :param on_their_way: rows that the service has: they can be erased when it has answered.
    """

    erased: int = 0
    twins: int = 0
    on_their_way: int = 0

    def to_json(self) -> dict[str, int]:
        """Give plain values."""
        return asdict(self)


def erase(database: Database, scopes: Sequence[Scope], erased_by: str) -> ErasureReport:
    """Erase every row of some scopes that is not on its way. Killed and started again, it goes on.

    :param scopes: the same images, for one bot each.
    :param erased_by: which run asks; it stays in the rows.
    :raises TableError: if the database cannot be used.
    """
    report = ErasureReport()
    for scope in scopes:
        while (step := database.write_here(erase_some, scope, erased_by)).rows:
            report.erased += step.rows
            report.twins += step.twins
        report.on_their_way += database.read_here(count_on_their_way, scope)
    return report
