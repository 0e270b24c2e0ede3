import dataclasses
import subprocess
import sys
from dataclasses import replace

import pytest

from rltf.metrics.feedback import feedback_metrics
from rltf.types import Category, Credit, Divergence, ErrorReport, FinishReason, Outcome, Program, Rollout, Verdict


def rollout(problem, outcome, reward, passed=0, length=4, error=None, credits=(), greedy=False, cut=False):
    program = Program(
        problem_id=problem,
        text="",
        prompt_ids=(1,),
        token_ids=(5,) * length,
        offsets=((0, 0),) * length,
        logprobs=(-1.0,) * length,
        finish=FinishReason.LENGTH if cut else FinishReason.EOS,
        greedy=greedy,
    )
    report = None if error is None else ErrorReport(error, "", 1, 1, Category.LINE)
    credits = credits or (Credit("coarse", reward),)
    return Rollout(program, Verdict(outcome, passed, 10, report), tuple(credits), reward, 0.5, reward - 0.5)


@pytest.fixture
def iteration():
    """Problem a: mixed; b: all failed with one reward; c: all passed."""
    return [
        rollout("a", Outcome.PASSED, 1.0, greedy=True, length=99),
        rollout("a", Outcome.PASSED, 1.0, passed=10),
        rollout("a", Outcome.RUNTIME_ERROR, -0.6, error="NameError", length=8, cut=True),
        rollout("b", Outcome.WRONG_ANSWER, -0.3, passed=5),
        rollout("b", Outcome.RUNTIME_ERROR, -0.3, error="NameError"),
        rollout("b", Outcome.RUNTIME_ERROR, -0.3, error="IndexError"),
        rollout("c", Outcome.PASSED, 1.0, passed=10),
        rollout("c", Outcome.PASSED, 1.0, passed=10),
    ]


def test_rewards_and_outcomes_are_shares_of_sampled_programs(iteration):
    m = feedback_metrics(iteration)
    assert m["rollout/programs"] == 7
    assert m["rollout/reward_mean"] == pytest.approx((3 * 1.0 - 0.6 - 3 * 0.3) / 7)
    assert m["rollout/advantage_mean"] == pytest.approx(m["rollout/reward_mean"] - 0.5)
    assert m["rollout/outcome/passed"] == pytest.approx(3 / 7)
    assert m["rollout/outcome/runtime_error"] == pytest.approx(3 / 7)
    assert m["rollout/outcome/timeout"] == 0.0
    assert m["rollout/pass_share_mean"] == pytest.approx((10 + 5 + 10 + 10) / 70)


def test_unexecuted_lines_are_a_share_where_the_sandbox_looked(iteration):
    assert "rollout/unexecuted_lines" not in feedback_metrics(iteration)
    programs = [("a\nb\nc\nd", (2, 3)), ("a", ()), ("a", None)]
    looked_at = [
        replace(r, program=replace(r.program, text=text), verdict=replace(r.verdict, unexecuted=lines))
        for r, (text, lines) in zip(iteration[1:], programs, strict=False)
    ]
    assert feedback_metrics(looked_at)["rollout/unexecuted_lines"] == (2 / 4 + 0) / 2


def test_divergences_are_a_share_of_the_wrong_answers_that_were_compared(iteration):
    assert "rollout/divergence_share" not in feedback_metrics(iteration)
    divergences = [Divergence(1, 2, 2), Divergence(2, None, None), Divergence(1, 3, 4), None]
    compared = [
        replace(r, verdict=replace(r.verdict, divergence=divergence))
        for r, divergence in zip(iteration[1:], divergences, strict=False)
    ]
    assert feedback_metrics(compared)["rollout/divergence_share"] == 2 / 3


def test_outcome_shares_add_up_to_one_and_name_every_outcome(iteration):
    shares = {k: v for k, v in feedback_metrics(iteration).items() if k.startswith("rollout/outcome/")}
    assert set(shares) == {f"rollout/outcome/{o.value}" for o in Outcome if o is not Outcome.UNJUDGEABLE}
    assert sum(shares.values()) == pytest.approx(1.0)


def test_programs_that_could_not_be_judged_are_counted_and_move_no_other_number(iteration):
    unknown = [
        rollout("b", Outcome.UNJUDGEABLE, 0.0, error="Unjudgeable", credits=()),
        rollout("d", Outcome.UNJUDGEABLE, 0.0, credits=()),
        rollout("a", Outcome.UNJUDGEABLE, 0.0, credits=(), greedy=True),
    ]
    before, after = feedback_metrics(iteration), feedback_metrics(iteration + unknown)
    assert (after["rollout/programs"], after["rollout/outcome/unjudgeable"]) == (9, pytest.approx(2 / 9))
    assert after["rollout/outcome/passed"] == pytest.approx(3 / 9)
    others = [name for name in before if "/outcome/" not in name and name != "rollout/programs"]
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    assert set(after) - set(before) == {"rollout/outcome/unjudgeable"}
    assert feedback_metrics(unknown)["rollout/outcome/unjudgeable"] == 1.0


def test_programs_are_distinct_within_their_problem_and_may_be_empty():
    def written(problem, text):
        found = rollout(problem, Outcome.PASSED, 1.0)
        return dataclasses.replace(found, program=dataclasses.replace(found.program, text=text))

    programs = [written("a", "x"), written("a", "x"), written("b", "x"), written("b", " \n")]
    m = feedback_metrics(programs)
    assert m["rollout/distinct_share"] == 3 / 4
    assert m["rollout/empty_share"] == 1 / 4


def test_groups_are_failed_mixed_or_passed(iteration):
    m = feedback_metrics(iteration)
    names = ("none_pass", "some_pass", "all_pass")
    assert [m[f"rollout/groups/{name}"] for name in names] == [pytest.approx(1 / 3)] * 3
    assert m["rollout/frac_groups_zero_std"] == pytest.approx(2 / 3)


def test_most_frequent_error_types_come_first(iteration):
    m = feedback_metrics(iteration, top_errors=1)
    assert m["rollout/error/NameError"] == pytest.approx(2 / 7)
    assert "rollout/error/IndexError" not in m


def test_lengths_leave_the_greedy_program_out(iteration):
    m = feedback_metrics(iteration)
    assert m["completion/length_mean"] == pytest.approx((6 * 4 + 8) / 7)
    assert m["completion/length_max"] == 8
    assert m["completion/truncated_share"] == pytest.approx(1 / 7)
    assert m["rollout/greedy_passed_share"] == 1.0
    assert m["rollout/greedy_reward_mean"] == 1.0


def test_span_term_is_reported_as_mean_weight_a_token():
    # alpha = 8 / 2, weight -1.2 on 2 of 8 tokens: R_fine = -0.3 spread over the program; the other program has none
    credits = (Credit("coarse", -0.6), Credit("fine", 4 * -0.3, (3, 5)))
    m = feedback_metrics(
        [
            rollout("a", Outcome.RUNTIME_ERROR, -0.6, length=8, credits=credits),
            rollout("a", Outcome.PASSED, 1.0),
        ],
        terms=["fine", "adaptive"],
    )
    assert m["rollout/reward/fine"] == pytest.approx(-0.15)
    assert m["rollout/reward/coarse"] == pytest.approx(0.2)
    assert m["rollout/reward/adaptive"] == 0.0


def test_metrics_are_plain_floats_and_nothing_without_programs(iteration):
    assert all(type(v) is float for v in feedback_metrics(iteration).values())
    assert feedback_metrics([]) == {}
    assert feedback_metrics(iteration[:1]) == {}


@pytest.mark.parametrize("module", ["feedback", "outcomes", "pass_at_k", "intervals", "critic"])
def test_what_the_report_and_the_callbacks_compute_imports_no_torch(module):
    code = f"import sys, rltf.metrics.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
