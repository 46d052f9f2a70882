"""Figures, and the marks that they are held against."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Mark:
    """What a figure is to reach.

    :param name: of the mark, in the results.
    :param text: what it says, where kind and value alone do not tell.
    """

    name: str
    kind: Literal["at least", "at most", "less than"]
    value: float
    text: str = ""

    def is_reached(self, figure: float) -> bool:
        """Say whether a figure is good enough; as it is printed."""
        shown = round(figure, 3)
        if self.kind == "less than":
            return shown < self.value
        return shown >= self.value if self.kind == "at least" else shown <= self.value

    @property
    def saying(self) -> str:
        """The mark in words."""
        return self.text or f"{self.kind} {self.value:,g}"


@dataclass(frozen=True)
class Bar:
    """One bar of a picture.

    :param chart: which picture of its part, with the unit: ``Wall time of 200 images, s``.
    :param name: what is measured.
    :param is_ours: True where it is this product.
    """

    chart: str
    name: str
    value: float
    is_ours: bool = False


@dataclass(frozen=True)
class Figure:
    """One line of the table: a ratio or a difference of two things that were measured in the same run.

    :param what: what was compared.
    :param unit: ``×`` for ratios.
    :param from_what: the two things.
    :param mark: what it is to reach; None where it only explains another.
    :param is_bound: True where measuring was stopped at a limit: the figure is at least this.
    :param bars: what to draw of it, if anything.
    """

    what: str
    value: float
    unit: str
    from_what: str
    mark: Mark | None = None
    is_bound: bool = False
    bars: tuple[Bar, ...] = ()

    @property
    def verdict(self) -> str:
        """``reached``, ``MISSED`` or nothing."""
        if self.mark is None:
            return ""
        return "reached" if self.mark.is_reached(self.value) else "MISSED"

    @property
    def shown(self) -> str:
        """The value as it is printed: three digits after the point at most, fewer where the number is large."""
        digits = next((digits for digits, least in ((0, 100.0), (1, 10.0), (2, 1.0)) if abs(self.value) >= least), 3)
        return f"{'≥ ' if self.is_bound else ''}{self.value:,.{digits}f} {self.unit}".strip()

    def to_json(self) -> dict[str, Any]:
        """Give plain values."""
        return asdict(self) | {"verdict": self.verdict}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Figure:
        """Take plain values."""
        kept = {name: value for name, value in values.items() if name not in ("mark", "verdict", "bars")}
        mark = None if values["mark"] is None else Mark(**values["mark"])
        return cls(**kept, mark=mark, bars=tuple(Bar(**bar) for bar in values["bars"]))
