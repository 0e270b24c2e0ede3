"""Metrics, held-out results and the table, against numbers worked out by hand."""

from __future__ import annotations

import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rltf.report.compare.results import row_results
from rltf.report.compare.settings import group_into_rows
from rltf.report.compare.statistics import Estimate
from rltf.report.draw.numbers import thin_out
from rltf.report.read.evaluation import HeldOut, read_heldout
from rltf.report.read.metrics import Metrics, read_metrics
from rltf.report.read.run import Run, read_run
from rltf.report.sections.metrics import metric_line, phase_seconds
from rltf.report.write.table import table_csv
from rltf.runs.rollouts_file import failed_test
from rltf.types import CallTest, Outcome, StdioTest, TestResult, Verdict

FLOATS = st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 6))


@given(st.lists(st.tuples(FLOATS, FLOATS), min_size=1, max_size=500), st.integers(1, 60))
def test_thinning_keeps_the_order_and_the_mean_of_full_groups(points, at_most):
    thinned = thin_out(points, at_most)
    assert len(thinned) <= at_most
    size = math.ceil(len(points) / at_most)
    first = points[:size]
    assert thinned[0][1] == pytest.approx(sum(y for _, y in first) / len(first), abs=1e-6)


def write(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    return read_metrics(path)


def test_empty_cells_are_not_zeros(tmp_path):
    metrics, notices = write(tmp_path, "step,a,b\n1,0.5,\n2,,0.25\n3,nan,inf\n")
    assert metrics.curves == {"a": ((1.0, 0.5),), "b": ((2.0, 0.25),)}
    assert notices == []


def test_a_resumed_run_counts_repeated_steps_once_and_their_seconds_twice(tmp_path):
    rows = "1,0.1,5\n2,0.2,5\n2,0.3,7\n3,0.4,5\n"
    metrics, _ = write(tmp_path, "step,loss/total,perf/seconds/training\n" + rows)
    assert metrics.curve("loss/total") == ((1.0, 0.1), (2.0, 0.3), (3.0, 0.4))
    assert metrics.total("perf/seconds/training") == 22.0


def test_half_a_last_row_is_left_out_and_said(tmp_path):
    metrics, notices = write(tmp_path, "step,a\n1,0.5\n2,0.")
    assert metrics.curve("a") == ((1.0, 0.5),)
    assert notices == ["The last row of metrics.csv is cut; it is left out."]


def test_rows_without_steps_stand_at_their_iteration(tmp_path):
    metrics, _ = write(tmp_path, "iteration,step,a\n0,,0.5\n1,,0.75\n,,1\n")
    assert metrics.curve("a") == ((0.0, 0.5), (1.0, 1.0))


def test_curves_of_rl_begin_behind_the_warm_up_and_those_of_programs_at_its_end(tmp_path):
    rows = "1,warmup,4,\n40,warmup,2,\n40,rl,,0.25\n41,rl,1,0.5\n"
    metrics, _ = write(tmp_path, "step,phase,loss/total,rollout/reward_mean\n" + rows)
    assert metrics.rl_start == 40.0
    assert metrics.after_warmup("loss/total") == ((41.0, 1.0),)
    assert metrics.after_warmup("rollout/reward_mean") == ((40.0, 0.25), (41.0, 0.5))
    assert metrics.in_warmup("loss/total") == ((1.0, 4.0), (40.0, 2.0))


def test_a_band_is_the_mean_and_the_range_of_seeds_at_the_steps_all_have(tmp_path):
    curves = [((10.0, 0.2), (20.0, 0.4)), ((10.0, 0.4), (20.0, 0.5), (30.0, 0.9)), ()]
    line = metric_line("x", [Run(tmp_path, Metrics({"val/pass@1": curve})) for curve in curves], "val/pass@1")
    assert line.points == [(10.0, pytest.approx(0.3)), (20.0, pytest.approx(0.45))]
    assert line.low == [(10.0, 0.2), (20.0, 0.4)]
    assert line.high == [(10.0, 0.4), (20.0, 0.5)]


def test_seconds_that_no_phase_claims_are_called_other(tmp_path):
    run = Run(tmp_path, summary={"seconds": {"total": 100.0, "training": 60.0, "generation": 30.0}})
    assert phase_seconds(run)["other"] == pytest.approx(10.0)


def test_without_a_summary_the_seconds_of_the_rows_are_summed(tmp_path):
    metrics = Metrics({"perf/seconds/training": ((1.0, 2.0), (2.0, 3.0)), "perf/seconds/generation": ((1.0, 5.0),)})
    seconds = phase_seconds(Run(tmp_path, metrics))
    assert (seconds["training"], seconds["sampling programs"], seconds["other"]) == (5.0, 5.0, 0.0)


def heldout_of(folder) -> HeldOut:
    heldout, notices = read_heldout(folder / "evaluation.json")
    assert notices == []
    assert heldout is not None
    return heldout


def test_the_flow_pairs_each_program_with_the_one_of_the_same_draw(write_run):
    # before: runtime, wrong, wrong, passed for each of 4 problems
    # after 3, 1, 4, 0 of 4: (r p p p) (r w w p) (p p p p) (r w w w), 16 pairs in all
    flow = 16 * heldout_of(write_run(after=(3, 1, 4, 0))).flow()
    assert flow.round(6).tolist() == [
        [0, 0, 0, 0],
        [0, 3, 0, 1],
        [0, 0, 4, 4],
        [0, 0, 1, 3],
    ]


def test_results_by_kind_are_means_over_problems(write_run):
    heldout = heldout_of(write_run(after=(3, 1, 4, 0)))
    assert heldout.shares("after", lambda problem: [problem.difficulty]) == {"easy": (0.5, 2), "hard": (0.5, 2)}
    assert heldout.shares("after", lambda problem: problem.tags) == {"loop": (pytest.approx(2 / 3), 3)}
    assert heldout.errors("after") == {"NameError": 3 / 16}
    assert heldout.values("after", "greedy").tolist() == [1, 0, 1, 0]
    # pass@2 of 4 draws: 1 - C(4 - c, 2) / 6
    assert heldout.values("after", "pass@2").tolist() == pytest.approx([1, 0.5, 1, 0])


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"before": [{"problem_id": "a"}]}', '{"before": [{"draws": ["solved"]}]}', '{"before": {"a": 1}}'],
)
def test_a_damaged_evaluation_is_left_out_in_a_sentence(tmp_path, content):
    (tmp_path / "evaluation.json").write_text(content)
    heldout, [sentence] = read_heldout(tmp_path / "evaluation.json")
    assert heldout is None
    assert sentence.startswith("evaluation.json cannot be read (")
    assert sentence.endswith("; it is left out.")


def ablation(write_run, tmp_path):
    """Row `coarse` solves (2, 2), then (1, 3) of 4; row `fine` (4, 2), then (3, 3)."""
    programs = {("coarse", 1): (2, 2), ("coarse", 2): (1, 3), ("fine", 1): (4, 2), ("fine", 2): (3, 3)}
    for (reward, seed), after in programs.items():
        write_run(tmp_path / f"{reward}{seed}", iterations=1, programs=1, reward=reward, seed=seed, after=after)
    return group_into_rows([read_run(tmp_path / f"{reward}{seed}") for reward, seed in programs])[0]


def test_the_table_holds_means_over_seeds_and_paired_differences(write_run, tmp_path):
    rows = ablation(write_run, tmp_path)
    first, second = (r for r in row_results(rows) if r.measure == "pass@1")
    assert (first.row, second.row) == ("reward=coarse", "reward=fine")
    assert first.after_rl.value == pytest.approx(0.5)  # (0.5 + 0.5) / 2
    assert second.after_rl.value == pytest.approx(0.75)
    assert second.gain.value == pytest.approx(0.5)  # 1 of 4 before
    assert first.difference is None
    # one of two seeds, one of two problems: 4/4 - 2/4, 2/4 - 2/4, 3/4 - 1/4, 3/4 - 3/4, so 0.25 in the mean with an
    # error of 0.25; seeds agree, problems have 0.5 and 0: one degree of freedom, 12.7 * 0.25, and shares end at 1
    assert second.difference.value == pytest.approx(0.25)
    assert second.difference.interval == (-1.0, 1.0)
    assert second.better_seeds == (2, 2)


def test_the_csv_is_the_table(write_run, tmp_path):
    results = row_results(ablation(write_run, tmp_path))
    lines = list(csv.DictReader(table_csv(results).splitlines()))
    assert len(lines) == len(results)
    line = next(x for x in lines if (x["measure"], x["row"]) == ("pass@1", "reward=fine"))
    assert (line["runs"], line["seeds"], line["after"], line["difference"]) == ("2", "1 2", "0.750000", "0.250000")
    assert (line["seeds_better"], line["seeds_compared"]) == ("2", "2")
    assert lines[0]["difference"] == ""


def test_a_run_without_evaluation_has_a_difference_without_an_interval(write_run, tmp_path):
    rows = ablation(write_run, tmp_path)
    (tmp_path / "fine2" / "evaluation.json").unlink()
    rows = group_into_rows([read_run(run.folder) for row in rows for run in row.runs])[0]
    second = next(r for r in row_results(rows) if (r.measure, r.row) == ("pass@1", "reward=fine"))
    assert second.after_rl.value == pytest.approx((0.75 + 0.561) / 2)  # the summary's number stands in
    assert second.difference.interval is None


def test_one_run_without_evaluation_shows_the_summarys_intervals(write_run):
    folder = write_run(iterations=1)
    (folder / "evaluation.json").unlink()
    [first, *_] = row_results(group_into_rows([read_run(folder)])[0])
    assert first.after_rl == Estimate(0.561, 0.52, 0.604)
    assert first.gain == Estimate(pytest.approx(0.561 - 0.214))


def test_the_failed_test_is_the_first_that_decided_the_outcome():
    tests = (CallTest("f", (1,), 2), StdioTest("1\n", "2\n"), CallTest("f", ("x" * 900,), 2))
    results = [TestResult(Outcome.PASSED, 0.0), *[TestResult(Outcome.WRONG_ANSWER, 0.0)] * 2]
    verdict = Verdict(Outcome.WRONG_ANSWER, 1, 3, tests=tuple(results))
    assert failed_test(verdict, tests) == {"number": 2, "test": "stdin '1\\n', expected stdout '2\\n'"}
    late = Verdict(Outcome.WRONG_ANSWER, 2, 3, tests=(results[0], results[0], results[1]))
    assert len(failed_test(late, tests)["test"]) < 700
    assert failed_test(Verdict(Outcome.PASSED, 3, 3, tests=(results[0],) * 3), tests) is None
    assert failed_test(Verdict(Outcome.SYNTAX_ERROR, 0, 3), tests) is None
