"""Charts without a time axis: estimates with their intervals, bars, the time bar, and the flow of outcomes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from rltf.report.compare.statistics import Estimate, Values
from rltf.report.draw.chart import HATCHES, STYLES, Chart, canvas, colour, name_of, series
from rltf.report.draw.curves import MOST_PANELS, PER_CENT, grid_of, legend
from rltf.report.draw.numbers import duration, percent
from rltf.report.read.evaluation import STAGES

STAGE_COLOURS = ("syntax", "runtime", "wrong", "passed")
BEFORE = "before RL"
Series = Sequence[tuple[str, int | None, Mapping[str, Estimate]]]
"""(label, style or None for what was before RL, category -> value)."""


def dot_chart(name: str, title: str, categories: Sequence[str], shown: Series, note: str = "") -> Chart | None:
    """A line of dots a category, one dot a series, each with its interval where it has one."""
    if not categories:
        return None
    return Chart(name, title, lambda: _draw_dots(categories, shown[: STYLES + 1]), note)


def bar_chart(name: str, title: str, categories: Sequence[str], shown: Series, note: str = "") -> Chart | None:
    """A group of bars a category, one bar a series."""
    if not categories:
        return None
    return Chart(name, title, lambda: _draw_bars(categories, shown[: STYLES + 1]), note)


def time_chart(
    name: str, title: str, rows: Sequence[tuple[str, Sequence[tuple[str, str, float]]]], note: str = ""
) -> Chart | None:
    """One bar a row, in parts (label, colour, seconds); None when no time was spent."""
    rows = [(label, parts) for label, parts in rows if math.fsum(s for _, _, s in parts) > 0]
    return Chart(name, title, lambda: _draw_time(rows), note, wide=True) if rows else None


def flow_chart(name: str, title: str, flows: Sequence[tuple[str, Values]], note: str = "") -> Chart | None:
    """Where programs went from each stage to each stage, a panel each (label, shares 4 by 4)."""
    if not flows:
        return None
    if len(flows) > MOST_PANELS:
        note = f"{note} The first {MOST_PANELS} of {len(flows)} rows are drawn.".strip()
    return Chart(name, title, lambda: _draw_flows(flows[:MOST_PANELS]), note, wide=len(flows) > 1)


def _draw_dots(categories: Sequence[str], shown: Series) -> Figure:
    step = min(0.15 * len(shown), 0.6) + 0.08  # many series share lines, their markers differ
    figure = canvas(0.75 + step * len(categories))
    axes = figure.subplots()
    for number, (label, style, values) in enumerate(shown):
        look = series(style)
        shade = str(look["color"])
        at = [i + (number - (len(shown) - 1) / 2) * 0.8 / len(shown) for i, c in enumerate(categories) if c in values]
        found = [values[c] for c in categories if c in values]
        bounds = [e.interval or (e.value, e.value) for e in found]
        spread = [[e.value - low for e, (low, _) in zip(found, bounds, strict=True)],
                  [high - e.value for e, (_, high) in zip(found, bounds, strict=True)]]  # fmt: skip
        axes.errorbar(
            [e.value for e in found], at, xerr=spread if any(e.interval for e in found) else None,
            fmt="o" if style is None else str(look["marker"]), color=shade, label=name_of(label), elinewidth=1.5,
            markersize=5, markerfacecolor=colour("paper") if style is None else shade,
        )  # fmt: skip
    _categories(axes, categories)
    axes.xaxis.set_major_formatter(PER_CENT)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]) if axes.get_xlim()[0] < -0.05 else 0.0)
    legend(figure, axes)
    return figure


def _draw_bars(categories: Sequence[str], shown: Series) -> Figure:
    figure = canvas(0.75 + (min(0.13 * len(shown), 0.9) + 0.1) * len(categories))
    axes = figure.subplots()
    height = 0.8 / len(shown)
    for number, (label, style, values) in enumerate(shown):
        shade = str(series(style)["color"])
        filled = style is not None and not HATCHES[style % len(HATCHES)]
        axes.barh(
            [i + (number - (len(shown) - 1) / 2) * height for i in range(len(categories))],
            [values[c].value if c in values else 0.0 for c in categories],
            height * 0.86, label=name_of(label), linewidth=0.9, edgecolor=shade,
            facecolor=shade if filled else colour("paper"),
            hatch=None if style is None else HATCHES[style % len(HATCHES)] or None,
        )  # fmt: skip
    _categories(axes, categories)
    axes.xaxis.set_major_formatter(PER_CENT)
    legend(figure, axes)
    return figure


def _categories(axes: Axes, categories: Sequence[str]) -> None:
    axes.set_yticks(range(len(categories)), [name_of(category) for category in categories])
    axes.set_ylim(len(categories) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=2))
    for border in range(1, len(categories)):
        axes.axhline(border - 0.5, color=colour("rule"), linewidth=0.5)


def _draw_time(rows: Sequence[tuple[str, Sequence[tuple[str, str, float]]]]) -> Figure:
    figure = canvas(0.95 + 0.36 * len(rows), 9.9)
    axes = figure.subplots()
    parts = {label: shade for _, some in rows for label, shade, seconds in some if seconds > 0}
    left = [0.0] * len(rows)
    longest = max(math.fsum(s for _, _, s in some) for _, some in rows)
    for part, shade in parts.items():
        seconds = [math.fsum(s for label, _, s in some if label == part) for _, some in rows]
        axes.barh(range(len(rows)), seconds, 0.72, left, label=part, color=colour(shade),
                  edgecolor=colour("paper"), linewidth=0.8)  # fmt: skip
        for i, own in enumerate(seconds):
            total = math.fsum(s for _, _, s in rows[i][1])
            if own > 0.06 * longest:
                axes.text(left[i] + own / 2, i, f"{duration(own)}\n{percent(own / total)}", ha="center", va="center",
                          fontsize=7, color=colour("onfill"))  # fmt: skip
            left[i] += own
    _categories(axes, [label for label, _ in rows])
    axes.margins(x=0)
    axes.set_xlabel("seconds", loc="right")
    legend(figure, axes)
    return figure


def _draw_flows(flows: Sequence[tuple[str, Values]]) -> Figure:
    figure, all_axes = grid_of(len(flows), 2.3)
    for axes, (label, table) in zip(all_axes, flows, strict=True):
        axes.set_axis_off()
        axes.set_xlim(-0.62, 1.62)
        axes.set_ylim(1.12, -0.12)
        if len(flows) > 1:
            axes.set_title(name_of(label), loc="left", fontsize=8.5)
        _flow(axes, table)
    return figure


def _flow(axes: Axes, table: Values) -> None:
    gap = 0.02
    tops = []
    for side, shares in enumerate((table.sum(axis=1), table.sum(axis=0))):
        edges, at = [], 0.0
        for i, share in enumerate(shares):
            edges.append(at)
            if share > 0:
                axes.add_patch(_box(-0.05 if side == 0 else 1.0, at, 0.05, float(share), STAGE_COLOURS[i]))
                at += float(share) + gap
        present = [i for i, share in enumerate(shares) if share > 0]
        places = _apart([edges[i] + float(shares[i]) / 2 for i in present], 0.085)
        for i, place in zip(present, places, strict=True):
            axes.text(-0.08 if side == 0 else 1.08, place, f"{STAGES[i]} {percent(float(shares[i]))}",
                      ha="right" if side == 0 else "left", va="center", fontsize=8)  # fmt: skip
        tops.append(edges)
    axes.text(-0.05, -0.05, "before RL", ha="left", va="bottom", color=colour("soft"))
    axes.text(1.05, -0.05, "after RL", ha="right", va="bottom", color=colour("soft"))
    left, right = list(tops[0]), list(tops[1])
    for i in range(len(STAGES)):
        for j in range(len(STAGES)):
            share = float(table[i, j])
            if share > 0:
                axes.add_patch(_band(left[i], right[j], share, STAGE_COLOURS[i]))
                left[i] += share
                right[j] += share


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Rising places, moved so that neighbours are at least so far apart and none lies below 1.05."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + least) if moved else place)
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], 1.05 if i == len(moved) - 1 else moved[i + 1] - least)
    return moved


def _box(x: float, y: float, width: float, height: float, shade: str) -> PathPatch:
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    return PathPatch(Path(corners), facecolor=colour(shade), linewidth=0)


def _band(left: float, right: float, height: float, shade: str) -> PathPatch:
    """A band from (0, left) to (1, right), curved."""
    curve = Path.CURVE4
    points = [(0.0, left), (0.5, left), (0.5, right), (1.0, right), (1.0, right + height), (0.5, right + height),
              (0.5, left + height), (0.0, left + height), (0.0, left)]  # fmt: skip
    codes = [Path.MOVETO, curve, curve, curve, Path.LINETO, curve, curve, curve, Path.CLOSEPOLY]
    return PathPatch(Path(points, codes), facecolor=colour(shade), alpha=0.38, linewidth=0)
