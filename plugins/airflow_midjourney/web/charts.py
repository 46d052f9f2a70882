"""Bars by day as SVG: shapes alone, stretched to the width of the page; every word stands beside them as text.

Text inside a picture that is stretched would be stretched as well, and too small on a phone. The policy allows no style
in the page, so that all of this is attributes and classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

#: The size of a picture in units of its own.
WIDTH: Final = 1000
HEIGHT: Final = 100

#: The share of a day's width that its bar leaves free.
_GAP: Final = 0.2

#: A bar of something is at least so high, so that one image beside ten thousand is seen.
_LEAST: Final = 1.5

#: A line so many times above the highest bar is left to words: it would press all bars flat.
_NEAR: Final = 4


@dataclass(frozen=True, slots=True)
class Series:
    """One value a day.

    :param kind: the class of its bars in the style.
    :param words: what it is, for the legend.
    """

    kind: str
    words: str
    values: Sequence[Decimal | int]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of the picture."""

    kind: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture with its words.

    :param told: what the picture shows, for a reader who does not see it.
    :param top: the value at its upper edge, in words.
    :param line: how far below the upper edge the line is; None where there is none in the picture.
    :param line_words: what the line is, or where it would be.
    """

    title: str
    told: str
    top: str
    bars: tuple[Bar, ...]
    legend: tuple[Series, ...]
    line: str | None = None
    line_words: str = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A value that no day may go beyond.

    :param words: what it is, as it stands amid a sentence.
    """

    value: Decimal | int
    words: str


def draw(
    title: str,
    days: Sequence[date],
    stack: Sequence[Series],
    shown: Callable[[Decimal | int], str],
    limit: Limit | None = None,
) -> Chart:
    """Draw a stack of bars for each day.

    :param stack: the lowest first. All have a value for each day.
    :param shown: gives a value in words.
    """
    sums = [sum((one.values[number] for one in stack), Decimal(0)) for number in range(len(days))]
    highest = max(sums)
    near = limit is not None and limit.value <= _NEAR * highest
    top = max(highest, limit.value) if limit is not None and near else highest
    line = _number(HEIGHT - _height(limit.value, top)) if limit is not None and near else None
    return Chart(
        title,
        _told(title, days, stack[0], shown, limit),
        shown(top),
        tuple(_bars(stack, top)),
        tuple(one for one in stack if any(one.values)),
        line,
        _line_words(limit, near=near),
    )


def _bars(stack: Sequence[Series], top: Decimal | int) -> list[Bar]:
    bars: list[Bar] = []
    step = WIDTH / len(stack[0].values)
    for number in range(len(stack[0].values)):
        foot = float(HEIGHT)
        for one in stack:
            if not one.values[number]:
                continue
            height = max(_LEAST, _height(one.values[number], top))
            foot = max(0.0, foot - height)
            x, width = step * (number + _GAP / 2), step * (1 - _GAP)
            bars.append(Bar(one.kind, _number(x), _number(foot), _number(width), _number(height)))
    return bars


def _height(value: Decimal | int, top: Decimal | int) -> float:
    return HEIGHT * float(value) / float(top) if top else 0.0


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _told(
    title: str, days: Sequence[date], series: Series, shown: Callable[[Decimal | int], str], limit: Limit | None
) -> str:
    values = dict(zip(days, series.values, strict=True))
    most = max(values, key=lambda day: (values[day], day))
    told = f"{title}, {days[0]} to {days[-1]} (UTC)"
    if not values[most]:
        return f"{told}: nothing."
    told = f"{told}: most on {most}, {shown(values[most])}; something on {sum(map(bool, values.values()))} days."
    if limit is None:
        return told
    reached = sum(value >= limit.value for value in values.values())
    return f"{told} They reached {limit.words} on {reached} of these days."


def _line_words(limit: Limit | None, *, near: bool) -> str:
    if limit is None:
        return ""
    return f"The line is {limit.words}" if near else f"No line: {limit.words} is far above this picture"
