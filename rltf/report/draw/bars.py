"""Charts over categories: dots with intervals, bars, wall time by phase, and the flow of outcomes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator

from rltf.report.compare.statistics import Estimate, Values
from rltf.report.draw.chart import HATCHES, STYLES, Chart, canvas, colour, drawable_label, line_style
from rltf.report.draw.curves import MOST_PANELS, PER_CENT, add_legend, legend_lines, panel_grid
from rltf.report.draw.numbers import duration, percent
from rltf.report.read.evaluation import STAGES

STAGE_COLOURS = ("syntax", "runtime", "wrong", "passed")
"""Colours of `STAGES`, by their names in the style sheet."""
BEFORE = "before RL"
_TALL = 4.0
"""Inches up to which few categories of many series may grow."""
Series = Sequence[tuple[str, int | None, Mapping[str, Estimate]]]
"""(label, style or None for values before RL, category -> value)."""


def dot_chart(name: str, title: str, categories: Sequence[str], groups: Series, x: str, note: str = "") -> Chart | None:
    """One line of dots per category, one dot per series, each with its interval where it has one; `x` is what the
    values are."""
    if not categories:
        return None
    return Chart(name, title, lambda: _draw_dots(categories, groups[: STYLES + 1], x), note)


def bar_chart(name: str, title: str, categories: Sequence[str], groups: Series, x: str, note: str = "") -> Chart | None:
    """One group of bars per category, one bar per series; `x` is what the values are."""
    if not categories:
        return None
    return Chart(name, title, lambda: _draw_bars(categories, groups[: STYLES + 1], x), note)


def time_chart(
    name: str, title: str, rows: Sequence[tuple[str, Sequence[tuple[str, str, float]]]], note: str = ""
) -> Chart | None:
    """One bar per row, in parts (label, colour, seconds); None when no time was spent."""
    rows = [(label, parts) for label, parts in rows if math.fsum(s for _, _, s in parts) > 0]
    return Chart(name, title, lambda: _draw_time(rows), note, wide=True) if rows else None


def flow_chart(name: str, title: str, flows: Sequence[tuple[str, Values]], note: str = "") -> Chart | None:
    """Bands between the stages before and after RL, one panel for each (label, shares 4 by 4)."""
    if not flows:
        return None
    if len(flows) > MOST_PANELS:
        note = f"{note} The first {MOST_PANELS} of {len(flows)} rows are drawn.".strip()
    return Chart(name, title, lambda: _draw_flows(flows[:MOST_PANELS]), note, wide=len(flows) > 1)


def _draw_dots(categories: Sequence[str], groups: Series, x: str) -> Figure:
    figure = _canvas_of_categories(categories, groups, series=0.15, most=0.6, gap=0.08)
    axes = figure.subplots()
    for number, (label, style, values) in enumerate(groups):
        marker_style = line_style(style)
        shade = str(marker_style["color"])
        offset = (number - (len(groups) - 1) / 2) * 0.8 / len(groups)
        ys = [i + offset for i, category in enumerate(categories) if category in values]
        estimates = [values[category] for category in categories if category in values]
        xs = [e.value for e in estimates]
        bounds = [e.interval or (e.value, e.value) for e in estimates]
        spread = [[x - low for x, (low, _) in zip(xs, bounds, strict=True)],
                  [high - x for x, (_, high) in zip(xs, bounds, strict=True)]]  # fmt: skip
        axes.errorbar(
            xs, ys, xerr=spread if any(e.interval for e in estimates) else None,
            fmt="o" if style is None else str(marker_style["marker"]), color=shade, label=drawable_label(label),
            elinewidth=1.5, markersize=5, markerfacecolor=colour("paper") if style is None else shade,
        )  # fmt: skip
    _label_categories(axes, categories)
    axes.set_xlabel(x, loc="right")
    axes.xaxis.set_major_formatter(PER_CENT)
    low, high = axes.get_xlim()
    axes.set_xlim(low if low < -0.05 else -0.015 * high, high)  # room for whole markers at 0
    add_legend(figure, axes)
    return figure


def _draw_bars(categories: Sequence[str], groups: Series, x: str) -> Figure:
    figure = _canvas_of_categories(categories, groups, series=0.13, most=0.9, gap=0.1)
    axes = figure.subplots()
    height = 0.8 / len(groups)
    for number, (label, style, values) in enumerate(groups):
        shade = str(line_style(style)["color"])
        hatch = None if style is None else HATCHES[(style + style // 6) % len(HATCHES)]  # colours repeat after six
        axes.barh(
            [i + (number - (len(groups) - 1) / 2) * height for i in range(len(categories))],
            [values[category].value if category in values else 0.0 for category in categories],
            height * 0.86, label=drawable_label(label), linewidth=0.9, edgecolor=shade,
            facecolor=shade if hatch == "" else colour("paper"), hatch=hatch or None,
        )  # fmt: skip
    _label_categories(axes, categories)
    axes.set_xlabel(x, loc="right")
    axes.xaxis.set_major_formatter(PER_CENT)
    add_legend(figure, axes)
    return figure


def _canvas_of_categories(categories: Sequence[str], groups: Series, series: float, most: float, gap: float) -> Figure:
    """A figure with `series` inches for each series of a category, at most `most` where categories are many, whose
    series lie closer then. Further lines of the legend take no room from them."""
    step = min(series * len(groups), max(most, _TALL / len(categories))) + gap
    further_lines = legend_lines([label for label, _, _ in groups]) - 1
    return canvas(0.75 + step * len(categories) + 0.17 * further_lines)


def _label_categories(axes: Axes, categories: Sequence[str]) -> None:
    axes.set_yticks(range(len(categories)), [drawable_label(category) for category in categories])
    axes.set_ylim(len(categories) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=2))
    for border in range(1, len(categories)):
        axes.axhline(border - 0.5, color=colour("rule"), linewidth=0.5)


def _draw_time(rows: Sequence[tuple[str, Sequence[tuple[str, str, float]]]]) -> Figure:
    figure = canvas(0.95 + 0.36 * len(rows), 9.9)
    axes = figure.subplots()
    shades = {label: shade for _, parts in rows for label, shade, seconds in parts if seconds > 0}
    totals = [math.fsum(seconds for _, _, seconds in parts) for _, parts in rows]
    starts = [0.0] * len(rows)
    for part, shade in shades.items():
        widths = [math.fsum(seconds for label, _, seconds in parts if label == part) for _, parts in rows]
        axes.barh(range(len(rows)), widths, 0.72, starts, label=part, color=colour(shade),
                  edgecolor=colour("paper"), linewidth=0.8)  # fmt: skip
        for i, width in enumerate(widths):
            if width > 0.06 * max(totals):
                text = f"{duration(width)}\n{percent(width / totals[i])}"
                axes.text(
                    starts[i] + width / 2, i, text, ha="center", va="center", fontsize="small", color=colour("onfill")
                )
            starts[i] += width
    _label_categories(axes, [label for label, _ in rows])
    axes.margins(x=0)
    axes.set_xlabel("seconds", loc="right")
    add_legend(figure, axes)
    return figure


def _draw_flows(flows: Sequence[tuple[str, Values]]) -> Figure:
    figure, all_axes = panel_grid(len(flows), 2.3)
    for axes, (label, table) in zip(all_axes, flows, strict=True):
        axes.set_axis_off()
        axes.set_xlim(-0.62, 1.62)
        axes.set_ylim(1.12, -0.12)
        if len(flows) > 1:
            axes.set_title(drawable_label(label), loc="left", fontsize="medium")
        _draw_flow(axes, table)
    return figure


def _draw_flow(axes: Axes, table: Values) -> None:
    gap = 0.02
    tops = []
    for side, shares in enumerate((table.sum(axis=1), table.sum(axis=0))):
        edges, top = [], 0.0
        for stage, share in enumerate(shares):
            edges.append(top)
            if share > 0:
                axes.add_patch(_box(-0.05 if side == 0 else 1.0, top, 0.05, float(share), STAGE_COLOURS[stage]))
                top += float(share) + gap
        occurring_stages = [stage for stage, share in enumerate(shares) if share > 0]
        places = _spread_apart([edges[stage] + float(shares[stage]) / 2 for stage in occurring_stages], 0.085)
        for stage, place in zip(occurring_stages, places, strict=True):
            axes.text(-0.08 if side == 0 else 1.08, place, f"{STAGES[stage]} {percent(float(shares[stage]))}",
                      ha="right" if side == 0 else "left", va="center", fontsize="medium")  # fmt: skip
        tops.append(edges)
    axes.text(-0.05, -0.05, "before RL", ha="left", va="bottom", color=colour("soft"))
    axes.text(1.05, -0.05, "after RL", ha="right", va="bottom", color=colour("soft"))
    left_tops, right_tops = tops
    for i in range(len(STAGES)):
        for j in range(len(STAGES)):
            share = float(table[i, j])
            if share > 0:
                axes.add_patch(_band(left_tops[i], right_tops[j], share, STAGE_COLOURS[i]))
                left_tops[i] += share
                right_tops[j] += share


def _spread_apart(places: Sequence[float], distance: float) -> list[float]:
    """Rising places, moved so that neighbours have at least this distance and none lies below 1.05."""
    spread: list[float] = []
    for place in places:
        spread.append(max(place, spread[-1] + distance) if spread else place)
    for i in reversed(range(len(spread))):
        spread[i] = min(spread[i], 1.05 if i == len(spread) - 1 else spread[i + 1] - distance)
    return spread


def _box(x: float, y: float, width: float, height: float, shade: str) -> PathPatch:
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)]
    return PathPatch(Path(corners), facecolor=colour(shade), linewidth=0)


def _band(left_top: float, right_top: float, height: float, shade: str) -> PathPatch:
    """A curved band of some height whose upper border goes from (0, left_top) to (1, right_top)."""
    curve = Path.CURVE4
    left_bottom, right_bottom = left_top + height, right_top + height
    points = [(0.0, left_top), (0.5, left_top), (0.5, right_top), (1.0, right_top), (1.0, right_bottom),
              (0.5, right_bottom), (0.5, left_bottom), (0.0, left_bottom), (0.0, left_top)]  # fmt: skip
    codes = [Path.MOVETO, curve, curve, curve, Path.LINETO, curve, curve, curve, Path.CLOSEPOLY]
    return PathPatch(Path(points, codes), facecolor=colour(shade), alpha=0.38, linewidth=0)
