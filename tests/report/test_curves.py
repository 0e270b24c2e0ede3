"""Curves of RL begin at iteration 0, show learning through the noise, and have room and labels."""

from __future__ import annotations

import pytest

from rltf.report.draw.chart import FigureStyle, report_style
from rltf.report.draw.curves import ITERATIONS, AxisStyle, Line, line_chart
from rltf.report.draw.numbers import running_mean
from rltf.report.read.metrics import Scale, read_metrics

SHARE = AxisStyle(share=True, zero=True, y="pass rate")


def drawn(lines, axis=SHARE, style=None):
    with report_style(style):
        figure = line_chart("x", "title", lines, axis).draw()
        figure.draw_without_rendering()
    return figure, figure.axes[0]


def write_metrics(path, rows):
    path.write_text("phase,iteration,step,rollout/reward_mean,loss/rl\n" + "".join(f"{row}\n" for row in rows))
    return read_metrics(path)[0]


def test_iterations_of_five_steps_behind_a_warm_up_of_1200(tmp_path):
    rows = ["warmup,0,1200,,0.5", "rl,0,1200,1.0,", "rl,0,1205,,0.1", "rl,1,1205,2.0,", "rl,1,1210,,0.2"]
    metrics = write_metrics(tmp_path / "metrics.csv", rows)
    assert metrics.scale == Scale(1200, 5)
    assert metrics.after_warmup("rollout/reward_mean") == ((0, 1.0), (1, 2.0))  # drawn before the iteration's steps
    assert metrics.after_warmup("loss/rl") == ((1, 0.1), (2, 0.2))  # computed in them


def test_a_start_that_was_trained_elsewhere_counts_no_iterations(tmp_path):
    rows = [f"rl,{i},{1200 + i},{i}," for i in range(3)] + [f"rl,{i},{1201 + i},,0.1" for i in range(3)]
    metrics = write_metrics(tmp_path / "metrics.csv", rows)
    assert metrics.scale == Scale(1200, 1)
    assert [x for x, _ in metrics.after_warmup("loss/rl")] == [1, 2, 3]


def test_an_iteration_that_was_cut_changes_no_position(tmp_path):
    rows = ["rl,0,4,,0.1", "rl,1,8,,0.1", "rl,2,12,,0.1", "rl,3,13,,0.1"]
    metrics = write_metrics(tmp_path / "metrics.csv", rows)
    assert metrics.scale == Scale(0, 4)
    assert metrics.after_warmup("loss/rl")[-1] == (3.25, 0.1)


def test_the_highest_point_has_room_above_it():
    _, axes = drawn([Line("pass@1", [(15, 0.2), (30, 0.275)])])
    assert axes.get_ylim() == pytest.approx((0, 1.07 * 0.275))
    low, high = axes.get_xlim()
    assert low < 0 < 30 < high


@pytest.mark.parametrize(("axis", "top"), [(SHARE, 0.1), (AxisStyle(zero=True), 1.0)])
def test_nothing_but_zeros_has_an_axis_without_negative_values(axis, top):
    _, axes = drawn([Line("none", [(1, 0.0), (2, 0.0)])], axis)
    assert axes.get_ylim() == (0, top)


def test_a_long_curve_is_a_running_mean_over_its_thin_points_and_a_short_one_has_markers():
    noisy = [(float(i), float(i % 2)) for i in range(40)]
    chart = line_chart("x", "title", [Line("reward", noisy)], SHARE)
    assert chart.note == "Thick lines are running means of 5 points over thin lines of single points."
    _, axes = drawn([Line("reward", noisy)])
    thin, thick = axes.get_lines()
    assert list(thin.get_ydata()) == [y for _, y in noisy]
    assert list(thick.get_ydata()) == [y for _, y in running_mean(noisy, 5)]
    assert thin.get_linewidth() < thick.get_linewidth()
    assert {thin.get_marker(), thick.get_marker()} <= {"None", "", None}
    _, axes = drawn([Line("reward", noisy[:10])])
    [line] = axes.get_lines()
    assert line.get_marker() == "o"


def test_a_band_says_how_far_seeds_lie_apart_so_that_points_are_not_drawn():
    points = [(float(i), 0.5) for i in range(30)]
    _, axes = drawn([Line("reward", points, points, points)])
    assert len(axes.get_lines()) == 1


def test_axes_say_what_they_are():
    _, axes = drawn([Line("pass@1", [(1, 0.2), (2, 0.3)])])
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == (ITERATIONS, "pass rate", "")


def test_files_of_figures_have_the_width_and_letters_of_the_paper():
    figure, axes = drawn([Line("pass@1", [(1, 0.2), (2, 0.3)])], style=FigureStyle(3.25, "serif", 8))
    assert figure.get_figwidth() == 3.25
    assert axes.xaxis.label.get_fontsize() == 8
    assert axes.xaxis.label.get_fontfamily() == ["serif", "DejaVu Sans"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"width": 1}, "--width 1: expected 2 to 20 inches"),
        ({"size": 40}, "--font-size 40: expected 4 to 24 points"),
        ({"font": "Nowhere Sans"}, "--font Nowhere Sans is not on this machine: expected serif, or one of "),
    ],
)
def test_what_no_figure_can_be_drawn_with_is_refused(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        FigureStyle(**options)
