"""What programs earn by outcome, worked out by hand from the table of groups in which a group's spread misleads."""

from __future__ import annotations

import logging
from math import sqrt

import pytest

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.callbacks.rollout_writer import WARN_AFTER, RolloutWriter
from rltf.metrics.outcomes import advantage_metrics, by_problem, is_inverted, mean_weight, variance_shares
from rltf.types import Credit, FinishReason, Outcome, Program, Rollout, Verdict

COARSE = {Outcome.SYNTAX_ERROR: -1.0, Outcome.RUNTIME_ERROR: -0.6, Outcome.WRONG_ANSWER: -0.3, Outcome.PASSED: 1.0}


def program(problem: str, length: int = 4) -> Program:
    return Program(problem, "", (1,), (5,) * length, ((0, 0),) * length, (-1.0,) * length, FinishReason.EOS)


def group(problem: str, outcomes: list[Outcome], normalize: str, passed: int = 0) -> list[Rollout]:
    """Rollouts of a problem with coarse rewards, as the algorithm compares them."""
    programs = tuple(
        (program(problem), Verdict(o, 4 if o is Outcome.PASSED else passed, 4), (Credit("coarse", COARSE[o]),))
        for o in outcomes
    )
    return Advantages("group_mean", normalize)([CreditedGroup(programs)])[0]


DEAD = [Outcome.SYNTAX_ERROR] * 5 + [Outcome.WRONG_ANSWER] * 3
HALF = [Outcome.PASSED] * 4 + [Outcome.WRONG_ANSWER] * 4


def test_a_groups_spread_pays_more_for_compiling_than_for_passing():
    groups = [group("dead", DEAD, "std"), group("half", HALF, "std")]
    metrics = advantage_metrics(groups)
    # dead: mean -0.7375, std 0.7 sqrt(15) / 8; wrong 0.4375 / std = 5 / sqrt(15) = 1.291, syntax -3 / sqrt(15)
    assert metrics["rollout/advantage_by_outcome/none_pass/wrong_answer"] == pytest.approx(5 / sqrt(15))
    assert metrics["rollout/advantage_by_outcome/none_pass/syntax_error"] == pytest.approx(-3 / sqrt(15))
    assert metrics["rollout/advantage_by_outcome/passed"] == pytest.approx(1.0)
    # over both groups: (3 x 1.291 + 4 x -1) / 7
    assert metrics["rollout/advantage_by_outcome/wrong_answer"] == pytest.approx((15 / sqrt(15) - 4) / 7)
    assert is_inverted(groups)


def test_centred_advantages_are_in_order():
    groups = [group("dead", DEAD, "none"), group("half", HALF, "none")]
    metrics = advantage_metrics(groups)
    assert metrics["rollout/advantage_by_outcome/none_pass/wrong_answer"] == pytest.approx(0.4375)
    assert metrics["rollout/advantage_by_outcome/passed"] == pytest.approx(0.65)
    assert not is_inverted(groups)


def test_programs_that_pass_a_test_are_not_those_that_pass_nothing():
    some_tests = [group("dead", DEAD, "std", passed=1), group("half", HALF, "std")]
    assert not is_inverted(some_tests)


def test_without_a_dead_or_a_live_group_nothing_is_inverted():
    assert not is_inverted([group("dead", DEAD, "std")])
    assert not is_inverted([group("half", HALF, "std")])
    assert not is_inverted([group("dead", DEAD, "std"), group("all", [Outcome.PASSED] * 4, "std")])
    assert not is_inverted([])


def test_lengths_are_by_outcome():
    long, short = (
        Rollout(program("a", 9), Verdict(Outcome.PASSED, 0, 4)),
        Rollout(program("a", 3), Verdict(Outcome.TIMEOUT, 0, 4)),
    )
    metrics = advantage_metrics([[long, short]])
    assert metrics["completion/length_by_outcome/passed"] == 9
    assert metrics["completion/length_by_outcome/timeout"] == 3
    assert "completion/length_by_outcome/wrong_answer" not in metrics


def test_shares_of_variance_are_covariances_within_groups():
    # a: coarse +-1, adaptive +-0.5 with it; b: adaptive alone differs, by +-0.5; a program of c is alone
    rows = [("a", 1.0, 0.5), ("a", -1.0, -0.5), ("b", -0.3, 0.7), ("b", -0.3, -0.3), ("c", 9.0, 9.0)]
    rollouts = [
        Rollout(
            program(p),
            Verdict(Outcome.WRONG_ANSWER, 0, 4),
            (Credit("coarse", c), Credit("adaptive", a), Credit("fine", -9.0, (0, 1))),
            c + a,
        )
        for p, c, a in rows
    ]
    # reward: +-1.5, +-0.5, 0: squares 4.5 + 0.5 = 5; with coarse 2 x 1.5 = 3; with adaptive 2 x 0.75 + 2 x 0.25 = 2
    assert variance_shares(by_problem(rollouts)) == {
        "reward/coarse/share_of_variance": pytest.approx(3 / 5),
        "reward/adaptive/share_of_variance": pytest.approx(2 / 5),
    }
    assert variance_shares(by_problem(rollouts[-1:])) == {}


def test_what_a_program_earns_by_token_weights_is_their_mean_without_excluded_tokens():
    weighted = Rollout(program("a"), Verdict(Outcome.PASSED, 0, 4), advantage=7.0, weights=(1.0, 2.0, 3.0, 100.0))
    assert mean_weight(weighted) == pytest.approx(106 / 4)
    excluded = Rollout(
        program("a"), Verdict(Outcome.PASSED, 0, 4), advantage=7.0, weights=(1.0, 2.0, 3.0, 100.0), excluded_tokens=(3,)
    )
    assert mean_weight(excluded) == pytest.approx(2.0)
    assert mean_weight(Rollout(program("a"), Verdict(Outcome.PASSED, 0, 4), advantage=7.0)) == 7.0


def test_the_tenth_iteration_in_a_row_warns_once(caplog):
    inverted = [*group("dead", DEAD, "std"), *group("half", HALF, "std")]
    in_order = [*group("dead", DEAD, "none"), *group("half", HALF, "none")]
    writer = RolloutWriter()
    with caplog.at_level(logging.WARNING):
        for _ in range(WARN_AFTER - 1):
            writer._warn_of_inversion(inverted)
        writer._warn_of_inversion(in_order)
        for _ in range(WARN_AFTER - 1):
            writer._warn_of_inversion(inverted)
        assert not caplog.records
        for _ in range(2 * WARN_AFTER):
            writer._warn_of_inversion(inverted)
    (record,) = caplog.records
    assert "programs that pass no test have earned more than programs that pass in 10 iterations" in record.message
