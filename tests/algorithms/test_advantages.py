from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_program, build_rollout

from rltf.algorithms.advantages import Advantages, CreditedGroup, token_weights
from rltf.algorithms.baselines import BASELINES
from rltf.algorithms.spreads import SPREADS
from rltf.types import Credit, Outcome, Verdict

FAILED = Verdict(Outcome.WRONG_ANSWER, 0, 10)


def visit(sampled, greedy=None, problem_id="p"):
    """A harvest of one group with the given whole-program rewards, the greedy one first as the pipeline gives it."""
    group = [(build_program(problem_id, draw=i), FAILED, (Credit("coarse", r),)) for i, r in enumerate(sampled)]
    if greedy is not None:
        group.insert(0, (build_program(problem_id, greedy=True), FAILED, (Credit("coarse", greedy),)))
    return [CreditedGroup(group)]


def sampled_only(groups):
    return [r for group in groups for r in group if not r.program.greedy]


def advantages_of(groups):
    return [r.advantage for r in sampled_only(groups)]


def baselines_of(groups):
    return [r.baseline for r in sampled_only(groups)]


def test_seven_tests_of_ten_against_a_failing_greedy_program_has_advantage_0_91():
    # adaptive reward -0.3 + 1.3 * 7/10 = 0.61; the baseline failed every test: -0.3
    groups = Advantages("greedy_latest")(visit([0.61], greedy=-0.3))
    assert advantages_of(groups) == pytest.approx([0.91])


@pytest.mark.parametrize("baseline", ["best_so_far", "greedy_latest"])
def test_program_like_its_baseline_has_no_advantage(baseline):
    assert advantages_of(Advantages(baseline)(visit([-0.3], greedy=-0.3))) == [0.0]


def test_first_visit_meets_the_greedy_program_and_later_ones_the_best_ever():
    best = Advantages("best_so_far")
    assert baselines_of(best(visit([0.5, -1.0], greedy=-0.3))) == [-0.3, -0.3]
    assert baselines_of(best(visit([-1.0, 0.2], greedy=-0.6))) == [0.5, 0.5]
    assert baselines_of(best(visit([1.0], greedy=-0.6))) == [0.5]
    assert baselines_of(best(visit([0.0], greedy=1.0))) == [1.0]


def test_greedy_program_joins_the_history():
    best = Advantages("best_so_far")
    best(visit([-1.0], greedy=0.7))
    assert baselines_of(best(visit([-1.0], greedy=-1.0))) == [0.7]


def test_first_visit_without_greedy_program_meets_the_group_mean():
    assert baselines_of(Advantages("best_so_far")(visit([1.0, -0.3, -1.0]))) == pytest.approx([-0.1] * 3)


def test_history_is_kept_by_problem():
    best = Advantages("best_so_far")
    best(visit([1.0], greedy=1.0, problem_id="easy"))
    assert baselines_of(best(visit([-0.3], greedy=-0.6, problem_id="hard"))) == [-0.6]


@given(st.lists(st.lists(st.floats(-1, 1), min_size=1, max_size=4), min_size=2, max_size=6))
def test_best_so_far_is_the_maximum_of_all_earlier_visits(visits):
    best = Advantages("best_so_far")
    best(visit(visits[0]))
    for i, rewards in enumerate(visits[1:], start=1):
        earlier = max(r for v in visits[:i] for r in v)
        assert baselines_of(best(visit(rewards))) == [earlier] * len(rewards)


def test_resumed_history_gives_the_same_baselines():
    best, resumed = Advantages("best_so_far"), Advantages("best_so_far")
    best(visit([0.4], greedy=-0.3))
    resumed.load_state_dict(best.state_dict())
    assert best.state_dict() == {"best": {"p": 0.4}}
    assert resumed(visit([1.0], greedy=0.0)) == best(visit([1.0], greedy=0.0))


def test_latest_greedy_forgets_earlier_visits():
    latest = Advantages("greedy_latest")
    latest(visit([1.0], greedy=1.0))
    assert baselines_of(latest(visit([1.0], greedy=-0.3))) == [-0.3]


def test_group_objectives_of_two_passing_and_two_failing_programs():
    rewards = [1.0, 0.0, 0.0, 1.0]
    assert advantages_of(Advantages("group_mean", "std")(visit(rewards))) == [1.0, -1.0, -1.0, 1.0]
    sample = advantages_of(Advantages("group_mean", "sample_std")(visit(rewards)))
    assert sample == pytest.approx([0.866025, -0.866025, -0.866025, 0.866025], abs=1e-6)
    loo = advantages_of(Advantages("leave_one_out")(visit(rewards)))
    assert loo == pytest.approx([0.666667, -0.666667, -0.666667, 0.666667], abs=1e-6)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_leave_one_out_is_the_group_mean_advantage_stretched_by_g_over_g_minus_1(rewards):
    g = len(rewards)
    expected = [g / (g - 1) * a for a in advantages_of(Advantages("group_mean")(visit(rewards)))]
    assert advantages_of(Advantages("leave_one_out")(visit(rewards))) == pytest.approx(expected, abs=1e-9)


@given(
    reward=st.floats(-1, 1),
    size=st.integers(2, 9),
    baseline=st.sampled_from(["group_mean", "leave_one_out"]),
    normalize=st.sampled_from(list(SPREADS)),
)
def test_group_of_equal_rewards_has_advantages_of_exactly_zero(reward, size, baseline, normalize):
    assert advantages_of(Advantages(baseline, normalize)(visit([reward] * size))) == [0.0] * size


@given(st.lists(st.integers(-100, 100), min_size=2, max_size=8))
def test_normalised_advantages_have_mean_zero_and_spread_one(rewards):
    a = advantages_of(Advantages("group_mean", "std")(visit([float(r) for r in rewards])))
    assert sum(a) == pytest.approx(0, abs=1e-9)
    spread = sum(x * x for x in a) / len(a)
    assert spread == pytest.approx(1.0 if len(set(rewards)) > 1 else 0.0)


@pytest.mark.parametrize("baseline", ["group_mean", "leave_one_out"])
def test_greedy_program_is_part_of_no_group_statistic(baseline):
    without = Advantages(baseline, "std")(visit([1.0, 0.0, -0.3]))
    with_greedy = Advantages(baseline, "std")(visit([1.0, 0.0, -0.3], greedy=50.0))
    assert advantages_of(with_greedy) == advantages_of(without)


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_every_program_becomes_a_rollout_in_the_order_given(baseline):
    harvest = visit([1.0, -0.3], greedy=0.2)
    (rollouts,) = Advantages(baseline)(harvest)
    assert [(r.program, r.verdict, r.credits) for r in rollouts] == harvest[0].programs
    assert [r.program.greedy for r in rollouts] == [True, False, False]
    assert [r.reward for r in rollouts] == [0.2, 1.0, -0.3]
    assert [r.advantage for r in rollouts] == [r.reward - r.baseline for r in rollouts]


def test_only_history_and_greedy_baselines_need_the_greedy_program():
    needs = {name: Advantages(name).needs_greedy for name in BASELINES}
    assert {name for name, need in needs.items() if need} == {"best_so_far", "greedy_latest"}


def test_reward_is_the_sum_of_whole_program_credits_and_leaves_spans_out():
    credits = (Credit("coarse", -0.6), Credit("adaptive", -0.1), Credit("fine", -1.5, (0, 2)))
    [[rollout]] = Advantages("none")([CreditedGroup([(build_program(), FAILED, credits)])])
    assert rollout.reward == pytest.approx(-0.7)
    assert rollout.advantage == rollout.reward


def test_advantages_are_clipped_on_both_sides():
    assert advantages_of(Advantages("none", clip=0.5)(visit([1.0, -1.0, 0.2]))) == [0.5, -0.5, 0.2]


def test_span_credit_adds_to_the_advantage_of_its_tokens_only():
    rollout = build_rollout(advantage=0.25, length=5, credits=[Credit("coarse", 1.0), Credit("fine", -1.5, (1, 3))])
    assert token_weights(rollout) == [0.25, -1.25, -1.25, 0.25, 0.25]


def test_alpha_5_on_a_span_of_8_of_40_tokens_weighs_minus_12_in_all():
    rollout = build_rollout(advantage=0.0, length=40, credits=[Credit("fine", 5 * -0.3, (10, 18))])
    weights = token_weights(rollout)
    assert sum(weights) == pytest.approx(-12)
    assert weights[:10] + weights[18:] == [0.0] * 32


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"baseline": "best"}, r"^baseline is 'best'"),
        ({"normalize": "var"}, r"^normalize is 'var'"),
        ({"clip": 0.0}, r"^clip is 0"),
    ],
)
def test_wrong_option_is_refused_with_its_key(arguments, key):
    with pytest.raises(ValueError, match=key):
        Advantages(**arguments)


def test_leave_one_out_of_a_single_program_is_refused():
    with pytest.raises(ValueError, match="expected at least 2 programs"):
        Advantages("leave_one_out")(visit([1.0]))


def test_latest_greedy_without_greedy_program_is_refused():
    with pytest.raises(ValueError, match="came without its greedy program"):
        Advantages("greedy_latest")(visit([1.0]))


def test_a_program_that_was_begun_for_the_policy_has_a_history_of_its_own():
    best = Advantages("best_so_far")
    best(visit([1.0]))
    [whole] = visit([0.2, 0.4])
    begun = [CreditedGroup([(replace(program, prefix_ids=(4, 5)), *rest) for program, *rest in whole.programs])]
    assert baselines_of(best(begun)) == pytest.approx([0.3, 0.3])
    assert baselines_of(best(begun)) == [0.4, 0.4]
    assert baselines_of(best(visit([0.0]))) == [1.0]
