"""`reward=pass_first`: what a pass, some tests and none earn, and what a group makes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_program

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.rewards.pass_first import PassFirst
from rltf.types import Credit, Outcome, Verdict

ERRORS = [outcome for outcome in Outcome if outcome.is_error]


def test_a_pass_earns_1_and_half_of_the_tests_a_twentieth():
    assert PassFirst().value(Verdict(Outcome.PASSED, 10, 10)) == 1.0
    assert PassFirst().value(Verdict(Outcome.WRONG_ANSWER, 5, 10)) == 0.05  # 0.1 * 0.5
    assert PassFirst(share_weight=0.4).value(Verdict(Outcome.WRONG_ANSWER, 3, 4)) == pytest.approx(0.3)


@pytest.mark.parametrize("outcome", [Outcome.SYNTAX_ERROR, Outcome.WRONG_ANSWER, *ERRORS])
def test_no_test_passed_earns_nothing_however_far_the_program_came(outcome):
    assert PassFirst().value(Verdict(outcome, 0, 10)) == 0.0


@pytest.mark.parametrize("outcome", ERRORS)
def test_an_error_in_one_test_takes_nothing_away_from_the_others(outcome):
    assert PassFirst().value(Verdict(outcome, 9, 10)) == PassFirst().value(Verdict(Outcome.WRONG_ANSWER, 9, 10))


@given(st.integers(1, 500), st.data())
def test_no_share_of_tests_earns_as_much_as_a_pass(total, data):
    passed = data.draw(st.integers(0, total - 1))
    assert 0.0 <= PassFirst(0.999).value(Verdict(Outcome.WRONG_ANSWER, passed, total)) < 1.0


def test_without_a_share_it_is_binary():
    assert PassFirst(share_weight=0).value(Verdict(Outcome.WRONG_ANSWER, 9, 10)) == 0.0


def test_it_is_one_credit_of_the_whole_program(problem, make_program):
    assert PassFirst()(problem, make_program(["x"]), Verdict(Outcome.WRONG_ANSWER, 1, 2)) == (
        Credit("pass_first", 0.05),
    )


def test_a_group_in_which_programs_compile_and_pass_nothing_has_no_advantage():
    # 5 syntax errors and 3 wrong answers: coarse makes of the latter +1.29 by the group's spread
    outcomes = [Outcome.SYNTAX_ERROR] * 5 + [Outcome.WRONG_ANSWER] * 3
    group = []
    for draw, outcome in enumerate(outcomes):
        program, verdict = build_program(draw=draw), Verdict(outcome, 0, 10)
        group.append((program, verdict, PassFirst()(None, program, verdict)))
    [rollouts] = Advantages("group_mean", "std")([CreditedGroup(group)])
    assert [rollout.advantage for rollout in rollouts] == [0.0] * 8


@pytest.mark.parametrize("weight", [-0.1, 1.0, True, "0.1", float("nan")])
def test_a_share_that_is_worth_a_pass_or_less_than_nothing_is_refused(weight):
    with pytest.raises(ValueError, match=r"^share_weight is .*: expected a number of at least 0 and below 1$"):
        PassFirst(share_weight=weight)


def test_a_wrong_weight_is_refused_by_its_path_in_the_config(composed):
    from rltf.setup.instantiate import build

    cfg = composed("train", "reward=pass_first", "reward.terms.pass_first.share_weight=2")
    with pytest.raises(ValueError, match=r"^reward\.terms\.pass_first\.share_weight is 2: expected"):
        build(cfg, "reward")
