"""Charts of ten rows: legends of several lines leave the dots and bars their room, and neighbours lie apart."""

from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from rltf.report.compare.statistics import Estimate
from rltf.report.draw.bars import bar_chart, dot_chart
from rltf.report.draw.chart import report_style
from rltf.report.draw.curves import legend_lines

NAMES = [f"reward=coarse+fine+adaptive, baseline={number}" for number in range(10)]
MARKER = 5.0
"""Points across a dot."""


def drawn(chart_of, categories) -> tuple[Figure, float]:
    """The figure, laid out, and the height of its axes in points. A warning that there is no room is an error here."""
    groups = [("before RL", None, dict.fromkeys(categories, Estimate(0.2)))]
    groups += [(name, number, dict.fromkeys(categories, Estimate(0.5))) for number, name in enumerate(NAMES)]
    with report_style():
        figure = chart_of("name", "title", categories, groups, "pass@1").draw()
        figure.draw_without_rendering()
    [axes] = figure.axes
    return figure, axes.get_position().height * figure.get_figheight() * 72


@pytest.mark.parametrize("categories", [["easy"], ["easy", "medium", "hard"]], ids=len)
@pytest.mark.parametrize("chart_of", [dot_chart, bar_chart])
def test_few_kinds_have_room_for_every_row(chart_of, categories):
    figure, height = drawn(chart_of, categories)
    apart = 0.8 * height / len(categories) / (len(NAMES) + 1)  # a category's series take 0.8 of it
    assert apart > MARKER
    assert figure.get_figheight() < 8


def test_many_kinds_lie_closer_so_that_the_chart_stays_on_a_screen():
    figure, height = drawn(dot_chart, [f"kind {number}" for number in range(13)])
    assert height / 13 > 6 * MARKER
    assert figure.get_figheight() < 13


def test_legends_of_long_names_have_a_line_each_and_of_short_ones_one():
    with report_style():
        assert legend_lines(NAMES) == 10
        assert legend_lines(["before RL", "after RL"]) == 1


def test_no_two_of_ten_bars_have_the_same_colour_and_hatch():
    figure, _ = drawn(bar_chart, ["NameError"])
    looks = {(bar.get_edgecolor(), bar.get_facecolor(), bar.get_hatch()) for bar in figure.axes[0].patches}
    assert len(looks) == 1 + len(NAMES)
