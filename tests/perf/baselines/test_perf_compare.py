"""The comparison of performance figures with their baselines, by hand-made numbers; the baselines' own form."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import perf_compare
import pytest
from perf_compare import FOLDER, Comparison, baseline_figures, compare, compare_script, exit_code, joined, load
from short_scripts import ROOT, SHORT_SCRIPTS, Figure, ShortScript, json_values

BASELINE = {
    "speed": {"better": "higher", "median": 2.0, "spread": [1.8, 2.3], "rounds": 9},
    "bytes": {"better": "lower", "median": 0.5, "spread": [0.5, 0.5], "rounds": 3},
}


def changes(speed, size):
    rows = compare(BASELINE, [Figure("speed", "higher", speed), Figure("bytes", "lower", size)])
    return [row.change for row in rows]


def test_a_median_inside_the_spread_is_the_same_though_single_rounds_are_not():
    assert changes((1.5, 1.8, 2.9), (0.5,)) == ["same", "same"]  # the median is the spread's edge


def test_a_speed_below_its_spread_is_worse_and_above_it_better():
    assert changes((1.7, 1.79, 2.3), (0.5,)) == ["worse", "same"]
    assert changes((2.2, 2.31, 2.4), (0.5,)) == ["better", "same"]


def test_more_bytes_are_worse_and_fewer_better_by_any_amount_where_the_spread_is_nothing():
    assert changes((2.0,), (0.501,)) == ["same", "worse"]
    assert changes((2.0,), (0.499,)) == ["same", "better"]


def test_a_figure_without_a_baseline_is_new_and_one_that_is_not_measured_is_gone():
    rows = compare(BASELINE, [Figure("speed", "higher", (2.0,)), Figure("more", "lower", (1.0,))])
    assert {row.name: row.change for row in rows} == {"speed": "same", "more": "new", "bytes": "gone"}


@pytest.mark.parametrize(
    ("speeds", "code"), [((2.0,), 2), ((1.0,), 1), (None, 0)], ids=["gone", "worse and gone", "same"]
)
def test_the_exit_code_says_worse_before_gone(speeds, code):
    figures = (
        [Figure("speed", "higher", speeds)]
        if speeds
        else [Figure(n, b["better"], (b["median"],)) for n, b in BASELINE.items()]
    )
    assert exit_code(compare(BASELINE, figures)) == code


def runs_of(*speeds):
    """Answers run after run; a third would be an error."""
    remaining = iter(speeds)
    return lambda: [Figure("speed", "higher", next(remaining)), Figure("bytes", "lower", (0.5,))]


def test_a_figure_that_looks_worse_is_measured_again_and_the_rounds_of_both_runs_count():
    # medians: of (1.5, 1.6, 2.0) 1.6, which is below 1.8; of the six rounds (2.0 + 2.0) / 2 and (1.6 + 1.7) / 2
    slow = (1.5, 1.6, 2.0)
    assert compare_script(BASELINE, runs_of(slow, (2.0, 2.1, 2.2)))[0] == Comparison(
        "speed", "higher", (1.8, 2.3), 2.0, 2.0
    )
    again = compare_script(BASELINE, runs_of(slow, (1.7, 1.4, 2.1)))[0]
    assert (again.now, again.change) == (pytest.approx(1.65), "worse")


def test_what_looks_well_is_measured_once():
    assert [row.change for row in compare_script(BASELINE, runs_of((2.0, 1.0, 2.1)))] == ["same", "same"]


def test_a_baseline_has_the_median_and_the_edges_of_the_rounds_of_all_runs():
    runs = [[Figure("speed", "higher", (1.0, 4.0))], [Figure("speed", "higher", (2.0,))]]
    assert baseline_figures(joined(runs)) == {
        "speed": {"better": "higher", "median": 2.0, "spread": [1.0, 4.0], "rounds": 3}
    }


@pytest.mark.parametrize(
    ("rounds", "code", "last"), [("[3.1]", 0, "nothing is worse"), ("[2.5]", 1, "worse than its spread: ratio")]
)
def test_the_command_prints_what_got_worse_and_ends_with_its_exit_code(
    tmp_path, monkeypatch, capsys, rounds, code, last
):
    """A script of this test's own prints the figure; everything else is the command's own way."""
    (tmp_path / "tests/perf").mkdir(parents=True)
    (tmp_path / "tests/perf/made_up.py").write_text(f"print('{{\"ratios\": {rounds}}}')")
    script = ShortScript("made_up", (), lambda values: iter([Figure("ratio", "higher", tuple(values[0]["ratios"]))]))
    spread = {"ratio": {"better": "higher", "median": 3.0, "spread": [2.9, 3.2], "rounds": 3}}
    (tmp_path / "made_up.json").write_text(json.dumps({"machine": {}, "figures": spread}))
    monkeypatch.setattr("short_scripts.ROOT", tmp_path)
    monkeypatch.setattr(perf_compare, "FOLDER", tmp_path)
    monkeypatch.setattr(perf_compare, "SHORT_SCRIPTS", (script,))
    monkeypatch.setattr(sys, "argv", ["perf_compare.py"])
    assert perf_compare.main() == code
    assert capsys.readouterr().out.splitlines()[-1].startswith(last)


def test_values_that_follow_each_other_are_read():
    assert list(json_values('{"a": 1}\n[2, 3]\n')) == [{"a": 1}, [2, 3]]


@pytest.mark.parametrize("script", SHORT_SCRIPTS, ids=lambda script: script.name)
def test_every_short_script_has_a_baseline_that_says_where_it_was_measured(script):
    baseline = load(script)
    assert baseline["script"] == script.command
    assert (ROOT / "tests" / "perf" / f"{script.name}.py").is_file()
    assert {"processor", "cores", "python", "torch"} <= set(baseline["machine"])
    assert re.fullmatch(r"[0-9a-f]{12}", baseline["commit"])
    assert baseline["figures"]
    for name, figure in baseline["figures"].items():
        low, high = figure["spread"]
        assert low <= figure["median"] <= high, name
        assert figure["better"] in ("higher", "lower")
        assert figure["rounds"] >= perf_compare.RECORDED_RUNS


def test_baselines_name_no_folder_and_no_host():
    for file in FOLDER.glob("*.json"):
        assert not re.search(r"/(?:home|root|tmp|work)\b|node_?name|host", file.read_text("utf-8")), file.name


def test_baselines_are_those_of_the_short_scripts():
    assert {file.stem for file in FOLDER.glob("*.json")} == {script.name for script in SHORT_SCRIPTS}


@pytest.mark.slow
def test_the_shortest_script_is_compared():
    command = [sys.executable, str(FOLDER / "perf_compare.py"), "startup"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr  # a busy machine may be slower
    assert re.search(r"(?m)^  (?:same|better|worse) +train.py --cfg job", done.stdout)
