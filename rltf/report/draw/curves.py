"""Curves over iterations of RL: lines with bands and running means, and stacked areas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from rltf.report.draw.chart import STYLES, WIDTH, Chart, canvas, colour, drawable_label, letters_per_line, line_style
from rltf.report.draw.numbers import running_mean, thin_out
from rltf.report.read.metrics import Point

PER_CENT = FuncFormatter(lambda value, _: f"{100 * value:.3g} %")
MOST_PANELS = 8
"""Most rows in a chart with one panel per row."""
ITERATIONS = "iterations of RL"
"""Label of the x axis of what RL logged."""
LONG = 24
"""Points from which on a curve is drawn as its running mean, over an eighth of its points, and without markers."""
MOST_RAW = 4
"""Most lines whose points are drawn, too, thin behind their running means."""


@dataclass(frozen=True)
class Line:
    """One curve, perhaps with a band around it."""

    label: str
    points: Sequence[Point]
    low: Sequence[Point] = ()
    """Lower border of its band, at the same steps; empty: no band."""
    high: Sequence[Point] = ()
    style: int | None = -1
    """Number of its colour, dashes and marker; -1: its place among the lines, None: the style of values before RL."""


@dataclass(frozen=True)
class Panel:
    """Stacked areas of one row."""

    title: str
    parts: Sequence[tuple[str, str, Sequence[Point]]]
    """(label, colour, points), the first at the bottom."""


@dataclass(frozen=True)
class AxisStyle:
    """Scale and label of a line chart's axes."""

    share: bool = False
    """Whether values are shares, written as per cent."""
    zero: bool = False
    """Whether the y axis begins at 0."""
    x: str = ITERATIONS
    y: str = ""
    """What the values are, with their unit."""
    metrics: tuple[str, ...] = ()
    """Names of the logged metrics that the lines show."""


def line_chart(name: str, title: str, lines: Sequence[Line], axis: AxisStyle, note: str = "") -> Chart | None:
    """A chart of the lines that have points, at most `STYLES`; None when no line has any."""
    lines = [line for line in lines if line.points]
    if not lines:
        return None
    if any(len(line.points) > len(thin_out(line.points)) for line in lines):
        note = f"{note} Each point is a mean of neighbouring ones.".strip()
    if longest := max((_window(line.points) for line in lines), default=0):
        thin = " over thin lines of single points" if _has_raw_lines(lines) else ""
        note = f"{note} Thick lines are running means of {longest} points{thin}.".strip()
    if len(lines) > STYLES:
        note = f"{note} The first {STYLES} of {len(lines)} are drawn.".strip()
    return Chart(name, title, lambda: _draw_lines(lines[:STYLES], axis), note, axis.metrics)


def area_chart(
    name: str, title: str, panels: Sequence[Panel], share: bool, metrics: Sequence[str], y: str
) -> Chart | None:
    """A chart of stacked parts of a whole, one panel per row, `y` what they are; parts that stay 0 are left out. None
    when all do."""
    panels = [p for p in panels if any(y for _, _, points in p.parts for _, y in points)]
    if not panels:
        return None
    note = f"The first {MOST_PANELS} of {len(panels)} rows are drawn." if len(panels) > MOST_PANELS else ""
    return Chart(
        name, title, lambda: _draw_areas(panels[:MOST_PANELS], share, y), note, tuple(metrics), wide=len(panels) > 1
    )


def panel_grid(panels: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with a number of panels, two beside each other; `height` of each in inches."""
    columns = min(panels, 2)
    lines = math.ceil(panels / columns)
    figure = canvas(height * lines + 0.3, WIDTH * (1 if columns == 1 else 1.9))
    axes = figure.subplots(lines, columns, squeeze=False).flatten()
    for unused in axes[panels:]:
        unused.set_visible(False)
    return figure, list(axes[:panels])


def add_legend(figure: Figure, axes: Axes, reverse: bool = False) -> None:
    """Puts the legend above the panels, in as many columns as there is room for; none for a series without a label."""
    handles, names = axes.get_legend_handles_labels()
    if not names:
        return
    columns = _legend_columns(names, figure.get_figwidth())
    if reverse:
        handles, names = handles[::-1], names[::-1]
    figure.legend(handles, names, loc="outside upper left", ncols=columns)


def _legend_columns(names: Sequence[str], width: float) -> int:
    """Columns that fit into a width in inches: a name takes its letters and the eight of its key."""
    return max(1, min(len(names), int(letters_per_line(width) / (max(map(len, names)) + 8))))


def legend_lines(names: Sequence[str]) -> int:
    """Lines of the legend of a figure of the page's width, or of the width that figures as files have."""
    width = mpl.rcParams["figure.figsize"][0]
    return math.ceil(len(names) / _legend_columns(names, width))


def _draw_lines(lines: Sequence[Line], axis: AxisStyle) -> Figure:
    labels = [line.label for line in lines]
    figure = canvas(2.3 + 0.14 * legend_lines(labels))
    axes = figure.subplots()
    for number, line in enumerate(lines):
        style = line_style(number if line.style == -1 else line.style)
        shade = str(style["color"])
        if line.low:
            low, high = thin_out(line.low), thin_out(line.high)
            axes.fill_between(
                [x for x, _ in low], [y for _, y in low], [y for _, y in high], color=shade, alpha=0.16, linewidth=0
            )
        window, marker = _window(line.points), str(style["marker"])
        if window:
            marker = ""
            if _has_raw_lines(lines):
                axes.plot(*_columns(thin_out(line.points)), color=shade, alpha=0.3, linewidth=0.7)
        points = thin_out(running_mean(line.points, window) if window else line.points)
        axes.plot(
            *_columns(points), label=drawable_label(line.label), color=shade, dashes=style["dashes"], marker=marker
        )
    _set_limits(axes, lines, axis)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel(axis.x, loc="right")
    axes.set_ylabel(axis.y, loc="top")
    add_legend(figure, axes)
    return figure


def _window(points: Sequence[Point]) -> int:
    """Points of the running mean that a curve is drawn as, an odd number; 0 for a short curve, drawn as it is."""
    return len(points) // 8 // 2 * 2 + 1 if len(points) >= LONG else 0


def _has_raw_lines(lines: Sequence[Line]) -> bool:
    """Whether single points are to be seen behind running means: not where bands say how far they jump."""
    return len(lines) <= MOST_RAW and not any(line.low for line in lines)


def _columns(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _set_limits(axes: Axes, lines: Sequence[Line], axis: AxisStyle) -> None:
    """Iterations from 0, room for whole markers at the borders, and an axis for a single point or nothing but zeros."""
    if axis.share:
        axes.yaxis.set_major_formatter(PER_CENT)
    xs = {x for line in lines for x, _ in line.points}
    if axis.x == ITERATIONS and max(xs) > 0:
        axes.set_xlim(-0.02 * max(xs), 1.02 * max(xs))
    elif len(xs) == 1:
        axes.set_xlim(min(xs) - 0.5, min(xs) + 0.5)
    if axis.zero:
        highest = max(y for line in lines for _, y in (*line.points, *line.high))
        axes.set_ylim(0, 1.07 * highest if highest > 0 else 0.1 if axis.share else 1.0)


def _draw_areas(panels: Sequence[Panel], share: bool, y: str) -> Figure:
    figure, all_axes = panel_grid(len(panels), 2.2)
    present = {label for panel in panels for label, _, points in panel.parts if any(y for _, y in points)}
    for axes, panel in zip(all_axes, panels, strict=True):
        parts = [part for part in panel.parts if part[0] in present]
        steps = sorted({x for _, _, points in parts for x, _ in points})
        tables = [dict(points) for _, _, points in parts]
        layers = [thin_out([(x, table.get(x, 0.0)) for x in steps], at_most=80) for table in tables]
        xs = [x for x, _ in layers[0]]
        heights = [[y for _, y in layer] for layer in layers]
        if len(xs) == 1:  # one step still is to be seen: a bar over the whole width
            xs, heights = [xs[0] - 0.5, xs[0] + 0.5], [h * 2 for h in heights]
        axes.stackplot(xs, heights, labels=[label for label, _, _ in parts], linewidth=0.6,
                       colors=[colour(c) for _, c, _ in parts], edgecolor=colour("paper"))  # fmt: skip
        axes.margins(x=0, y=0 if share else 0.05)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel(ITERATIONS, loc="right")
        axes.set_ylabel(y, loc="top")
        if share:
            axes.set_ylim(0, 1)
            axes.yaxis.set_major_formatter(PER_CENT)
        if len(panels) > 1:
            axes.set_title(drawable_label(panel.title), loc="left", fontsize="medium")
    add_legend(figure, all_axes[0], reverse=True)
    return figure
