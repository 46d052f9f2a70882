"""Pictures of what was measured: one per part, with a row of bars for everything that was measured together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.figure import Figure as Canvas

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

    from benchmarks.figures import Bar
    from benchmarks.results import Record

_OURS: Final = "#1f6f8b"
_THEIRS: Final = "#b8c4cc"
_INK: Final = "#22313a"

#: Values that differ more than this are drawn on a logarithmic axis.
_WIDE: Final = 40.0

_WIDTH: Final = 7.2
_BAR_HEIGHT: Final = 0.3
_FRAME_HEIGHT: Final = 0.75


def draw(record: Record, path: Path) -> None:
    """Draw a part's picture; the same figures give the same file."""
    charts = charts_of(record)
    heights = [_FRAME_HEIGHT + _BAR_HEIGHT * len(bars) for bars in charts.values()]
    canvas = Canvas(figsize=(_WIDTH, sum(heights)), dpi=110, layout="constrained", facecolor="white")
    axes = canvas.subplots(len(charts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
    for (chart, bars), (place,) in zip(charts.items(), axes, strict=True):
        _draw_bars(place, chart, bars)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, metadata={"Software": None})


def charts_of(record: Record) -> dict[str, list[Bar]]:
    """Give all bars by their charts; one that several figures were made from is drawn once."""
    charts: dict[str, dict[str, Bar]] = {}
    for figure in record.figures:
        for bar in figure.bars:
            charts.setdefault(bar.chart, {}).setdefault(bar.name, bar)
    return {chart: list(bars.values()) for chart, bars in charts.items()}


def _draw_bars(axes: Axes, chart: str, bars: list[Bar]) -> None:
    names, values = [bar.name for bar in bars], [bar.value for bar in bars]
    drawn = axes.barh(names, values, color=[_OURS if bar.is_ours else _THEIRS for bar in bars], height=0.7)
    axes.bar_label(drawn, [f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in values], padding=4)
    least = min((value for value in values if value > 0), default=1.0)
    if max(values) > _WIDE * least:
        axes.set_xscale("log")
        axes.set_xlim(least / 2, max(values) * 4)
        chart = f"{chart} (logarithmic)"
    else:
        axes.set_xlim(0, max(*values, least) * 1.15)
    axes.invert_yaxis()
    axes.set_title(chart, loc="left", fontsize=10, color=_INK)
    axes.tick_params(colors=_INK, labelsize=9, length=0)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
