"""`evaluation.json`, from the verdicts of an evaluation to the report's numbers."""

from __future__ import annotations

import pytest

from rltf.metrics.evaluation import Evaluation
from rltf.report.compare.statistics import estimate_over_problems
from rltf.report.read.evaluation import read_heldout
from rltf.runs.summary import evaluation_record, write_evaluation
from rltf.types import AssertTest, Category, ErrorReport, FinishReason, Outcome, Problem, Program, Verdict

P, W, E = Outcome.PASSED, Outcome.WRONG_ANSWER, Outcome.RUNTIME_ERROR
ERROR = ErrorReport("NameError", "", 1, 1, Category.LINE)


def evaluated(*outcomes):
    """An evaluation of one problem a tuple of outcomes; the greedy program, first, passes."""
    evaluation = Evaluation(ks=[1, 2])
    for i, drawn in enumerate(outcomes):
        problem = Problem(f"p{i}", "", (AssertTest("assert f()"),), difficulty="easy", tags=("loop", "list"))
        programs = [
            Program(problem.id, "", (), (), (), (), FinishReason.EOS, draw=draw, greedy=draw < 0)
            for draw in range(-1, len(drawn))
        ]
        verdicts = [Verdict(o, int(o is P), 1, ERROR if o is E else None) for o in (P, *drawn)]
        evaluation.update(problem, programs, verdicts)
    return evaluation.compute()


def test_what_an_evaluation_found_is_read_back_draw_by_draw(tmp_path):
    path = tmp_path / "evaluation.json"
    write_evaluation(tmp_path, "before", evaluated((E, W), (W, W)))
    write_evaluation(tmp_path, "after", evaluated((P, W), (E, P)))
    heldout, said = read_heldout(path)
    assert said == []
    assert [problem.draws for problem in heldout.before_rl] == [
        ("runtime_error", "wrong_answer"),
        ("wrong_answer",) * 2,
    ]
    first = heldout.after_rl[0]
    assert (first.problem_id, first.difficulty, first.tags, first.greedy_passed) == (
        "p0",
        "easy",
        ("loop", "list"),
        True,
    )
    assert heldout.errors("before") == {"NameError": 0.25}
    assert heldout.values("after", "pass@1").tolist() == [0.5, 0.5]
    # runtime error to passed, wrong to wrong, wrong to runtime error, wrong to passed
    assert heldout.flow()[1:, 1:].tolist() == [[0, 0, 0.25], [0.25, 0.25, 0.25], [0, 0, 0]]


def test_one_number_has_one_interval_in_the_summary_and_in_the_report(tmp_path):
    result = evaluated(*[(P, W), (W, W), (E, P), (P, P)] * 6, (W, E))
    write_evaluation(tmp_path, "before", result)
    heldout, _ = read_heldout(tmp_path / "evaluation.json")
    for k in ("1", "2"):
        entry = evaluation_record(result)["pass_at_k_interval"][k]
        estimate = estimate_over_problems(heldout.values("before", f"pass@{k}"))
        assert (entry["value"], entry["low"], entry["high"]) == tuple(
            round(end, 6) for end in (estimate.value, estimate.low, estimate.high)
        )


def test_a_run_that_begins_anew_forgets_the_results_of_the_last(tmp_path):
    path = tmp_path / "evaluation.json"
    for when in ("before", "after", "before"):
        write_evaluation(tmp_path, when, evaluated((P, P)))
    heldout, _ = read_heldout(path)
    assert heldout.after_rl == ()


def test_before_and_after_of_different_problems_are_not_compared(tmp_path):
    path = tmp_path / "evaluation.json"
    write_evaluation(tmp_path, "before", evaluated((P, P)))
    write_evaluation(tmp_path, "after", evaluated((P, P), (W, W)))
    heldout, [sentence] = read_heldout(path)
    assert heldout is None
    assert "before and after hold different problems" in sentence


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_half_a_file_is_left_out_in_a_sentence(tmp_path, cut):
    path = tmp_path / "evaluation.json"
    write_evaluation(tmp_path, "before", evaluated((P, P), (W, W)))
    path.write_text(path.read_text()[:cut])
    assert read_heldout(path)[0] is None
