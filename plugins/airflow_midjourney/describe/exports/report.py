"""How many of what an export has, and has not."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_midjourney.describe.exports.selection import LeftOut


@dataclass(slots=True)
class ExportReport:
    """The counts of one export.

    :param rows: read from the table.
    :param exported: images that are in the export.
    :param captions: prompts that are in it.
    :param splits: images by split, where there are splits.
    :param left_out: rows that are not in it, by reason.
    """

    rows: int = 0
    exported: int = 0
    captions: int = 0
    splits: Counter[str] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)

    def to_json(self) -> dict[str, Any]:
        """Give plain values."""
        return {
            "rows": self.rows,
            "exported": self.exported,
            "captions": self.captions,
            "splits": {name: number for name, number in sorted(self.splits.items()) if name},
            "left_out": {reason.value: number for reason, number in sorted(self.left_out.items())},
        }

    def line(self) -> str:
        """Say it in one line."""
        parts = [f"{self.exported:,} of {self.rows:,} rows exported, {self.captions:,} captions"]
        parts += [f"{name}: {number:,}" for name, number in sorted(self.splits.items()) if name]
        parts += [f"left out as {reason.value}: {number:,}" for reason, number in sorted(self.left_out.items())]
        return "; ".join(parts)
