"""`algorithm.advantages.normalize=batch`: numbers worked out by hand, beside those of the group's own spread."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_program

from rltf.algorithms.advantages import Advantages, CreditedGroup, token_weights
from rltf.types import Credit, Outcome, Verdict
from rltf.validation import OptionError

FAILED = Verdict(Outcome.WRONG_ANSWER, 0, 10)


def harvest_of(*groups, greedy=None):
    """Groups of problems p0, p1, ... with the given rewards; `greedy` is that of each group's greedy program."""
    harvest = []
    for number, rewards in enumerate(groups):
        programs = [(build_program(f"p{number}", draw=i), FAILED, (Credit("r", r),)) for i, r in enumerate(rewards)]
        if greedy is not None:
            programs.insert(0, (build_program(f"p{number}", greedy=True), FAILED, (Credit("r", greedy),)))
        harvest.append(CreditedGroup(programs))
    return harvest


def advantages_of(normalize, *groups, **options):
    rollouts = Advantages("group_mean", normalize)(harvest_of(*groups, **options))
    return [[r.advantage for r in group if not r.program.greedy] for group in rollouts]


DEAD = [-1.0] * 5 + [-0.3] * 3  # nobody passes: 5 syntax errors, 3 wrong answers
HALF = [1.0] * 4 + [-0.3] * 4
TIE_BREAKER = [0.0] * 7 + [0.05]
PASS = [0.0] * 7 + [1.0]


def test_the_groups_own_spread_pays_a_compile_in_a_dead_group_more_than_a_pass_in_a_live_one():
    dead, half = advantages_of("std", DEAD, HALF)
    assert (dead[-1], dead[0]) == pytest.approx((1.29, -0.77), abs=0.005)
    assert (half[0], half[-1]) == pytest.approx((1.0, -1.0))
    [tie], [success] = (group[-1:] for group in advantages_of("std", TIE_BREAKER, PASS))
    assert (tie, success) == pytest.approx((2.65, 2.65), abs=0.005)  # sqrt(7)


def test_the_harvests_spread_pays_a_pass_more():
    dead, half = advantages_of("batch", DEAD, HALF)
    # centred: +0.4375 x 3, -0.2625 x 5; +-0.65 x 8. Squares: 0.57421875 + 0.34453125 + 3.38 = 4.29875 of 16 programs
    spread = math.sqrt(4.29875 / 16)
    assert (dead[-1], dead[0]) == pytest.approx((0.4375 / spread, -0.2625 / spread))
    assert (half[0], half[-1]) == pytest.approx((0.65 / spread, -0.65 / spread))
    assert (dead[-1], half[0]) == pytest.approx((0.84, 1.25), abs=0.005)


def test_a_tie_breaker_of_a_twentieth_earns_a_twentieth_of_a_pass():
    tie, success = advantages_of("batch", TIE_BREAKER, PASS)
    assert success[-1] == pytest.approx(20 * tie[-1])
    # centred: 0.875 and 7 x -0.125 -> squares 0.875; the other group's are 1/400 of it
    assert success[-1] == pytest.approx(0.875 / math.sqrt(0.875 * (1 + 1 / 400) / 16))


def test_groups_that_earn_all_the_same_keep_advantages_of_zero_and_lower_the_spread():
    alive, failed, passed = advantages_of("batch", [1.0, 0.0], [0.0, 0.0], [1.0, 1.0])
    assert failed == passed == [0.0, 0.0]
    assert alive == pytest.approx([math.sqrt(3), -math.sqrt(3)])  # 0.5 over sqrt(2 * 0.25 / 6)


def test_a_harvest_of_equal_rewards_has_no_advantage_at_all():
    assert advantages_of("batch", [0.1] * 3, [0.7] * 3) == [[0.0] * 3, [0.0] * 3]
    assert Advantages("group_mean", "batch")([]) == []
    assert Advantages("group_mean", "batch")([CreditedGroup([])]) == [[]]


def test_one_group_alone_is_normalised_as_by_its_own_spread():
    assert advantages_of("batch", DEAD)[0] == pytest.approx(advantages_of("std", DEAD)[0])


def test_greedy_programs_are_no_part_of_the_harvests_spread():
    assert advantages_of("batch", DEAD, HALF, greedy=50.0) == advantages_of("batch", DEAD, HALF)


def test_the_clip_comes_after_the_harvests_spread():
    rollouts = Advantages("group_mean", "batch", clip=1.0)(harvest_of(DEAD, HALF))
    assert rollouts[1][0].advantage == 1.0
    assert rollouts[0][-1].advantage == pytest.approx(0.84, abs=0.005)


@given(st.lists(st.lists(st.integers(-50, 50), min_size=2, max_size=5), min_size=1, max_size=5))
def test_advantages_of_a_harvest_have_mean_zero_and_spread_one_in_the_order_of_distances(groups):
    flat = [a for group in advantages_of("batch", *groups) for a in group]
    centred = [a for group in advantages_of("none", *groups) for a in group]
    assert sum(flat) == pytest.approx(0, abs=1e-9)
    alive = any(len(set(group)) > 1 for group in groups)
    assert sum(a * a for a in flat) / len(flat) == pytest.approx(1.0 if alive else 0.0)
    order = sorted(range(len(flat)), key=lambda i: centred[i])
    assert all(flat[a] <= flat[b] for a, b in pairwise(order))


@pytest.mark.parametrize(
    ("normalize", "terms", "spread"),
    [("none", "together", 1.0), ("std", "together", 1.0), ("batch", "together", 0.5), ("std", "apart", 0.5)],
)
def test_where_nobody_passes_live_groups_alone_have_advantages(normalize, terms, spread):
    """Two problems with the same rewards; somebody passes the second. Half of the squares of a harvest are gone."""
    dead, live = harvest_of(DEAD, DEAD, greedy=0.0)
    program, _, credits = live.programs[-1]
    live = CreditedGroup([*live.programs[:-1], (program, Verdict(Outcome.PASSED, 10, 10), credits)])
    everywhere = Advantages("group_mean", normalize, terms=terms)([dead, live])
    there = Advantages("group_mean", normalize, terms=terms, groups="live")([dead, live])
    assert [rollout.advantage for rollout in there[0]] == [0.0] * 9
    assert [rollout.baseline for rollout in there[0]] == [rollout.baseline for rollout in everywhere[0]]
    expected = [rollout.advantage / math.sqrt(spread) for rollout in everywhere[1]]
    assert [rollout.advantage for rollout in there[1]] == pytest.approx(expected)


def test_spans_of_a_group_in_which_nobody_passes_are_dropped():
    spans = (Credit("coarse", -1.0), Credit("fine", -0.5, (0, 2)))
    [group] = harvest_of([-1.0, -0.3])
    dead = CreditedGroup([(program, verdict, spans) for program, verdict, _ in group.programs])
    live = CreditedGroup([dead.programs[0], (dead.programs[1][0], Verdict(Outcome.PASSED, 10, 10), spans)])
    [dropped], [whole] = (Advantages("none", groups="live")([group]) for group in (dead, live))
    assert {rollout.credits for rollout in dropped} == {spans[:1]}
    assert all(weight == 0 for rollout in dropped for weight in token_weights(rollout))
    assert {rollout.credits for rollout in whole} == {spans}


def test_a_greedy_pass_makes_a_group_live_and_an_unknown_choice_is_refused():
    [group] = harvest_of(DEAD, greedy=1.0)
    passing = (group.programs[0][0], Verdict(Outcome.PASSED, 10, 10), group.programs[0][2])
    [rollouts] = Advantages("group_mean", groups="live")([CreditedGroup([passing, *group.programs[1:]])])
    assert all(rollout.advantage for rollout in rollouts)
    with pytest.raises(OptionError, match="groups is 'dead': expected all or live"):
        Advantages("group_mean", groups="dead")
