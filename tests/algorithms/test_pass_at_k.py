"""`algorithm.advantages.baseline=max_of_k`: closed forms, all subsets counted one by one, the expected gradient."""

from itertools import combinations, product
from math import comb, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rollout_strategies import build_program

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.setup.checks import read_training_config
from rltf.types import Credit, Outcome, Verdict

FAILED = Verdict(Outcome.WRONG_ANSWER, 0, 10)


def advantages_of(rewards, k, greedy=None, incomplete=False, **options):
    group = [(build_program(draw=i), FAILED, (Credit("r", reward),)) for i, reward in enumerate(rewards)]
    if greedy is not None:
        group.insert(0, (build_program(greedy=True), FAILED, (Credit("r", greedy),)))
    [rollouts] = Advantages("max_of_k", k=k, **options)([CreditedGroup(group, incomplete)])
    return [rollout.advantage for rollout in rollouts if not rollout.program.greedy]


def by_counting(rewards, k):
    """k times the mean over sets of k - 1 others of what a program adds to their best."""
    gains = []
    for i, reward in enumerate(rewards):
        others = [r for j, r in enumerate(rewards) if j != i]
        sets = list(combinations(others, k - 1))
        gains.append(k * sum(max(reward, *best) - max(best) for best in sets) / len(sets))
    return gains


@pytest.mark.parametrize(("passes", "expected"), [(0, 0.0), (1, 2.0), (2, 4 / 3), (3, 2 / 3), (4, 0.0)])
def test_of_four_programs_a_pass_counts_by_how_few_others_pass(passes, expected):
    # k = 2: 2 C(4 - c, 1) / C(3, 1)
    rewards = [1.0] * passes + [0.0] * (4 - passes)
    assert advantages_of(rewards, k=2) == pytest.approx([expected] * passes + [0.0] * (4 - passes))


@given(st.integers(2, 8), st.data())
def test_binary_rewards_have_the_closed_form(n, data):
    k, c = data.draw(st.integers(2, n)), data.draw(st.integers(0, n))
    expected = k * comb(n - c, k - 1) / comb(n - 1, k - 1)
    assert advantages_of([1.0] * c + [0.0] * (n - c), k) == pytest.approx([expected] * c + [0.0] * (n - c))


def test_graded_rewards_worked_out_by_hand():
    # k = 2 of (0.5, 1, 0): 1 beats 0.5 by 0.5 and 0 by 1; 0.5 beats 0 by 0.5 and nothing else; twice their means
    assert advantages_of([0.5, 1.0, 0.0], k=2) == pytest.approx([0.5, 1.5, 0.0])
    # k = 3: the others are one set; only the best adds something to it
    assert advantages_of([0.5, 1.0, 0.0], k=3) == pytest.approx([0.0, 1.5, 0.0])


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=7), st.data())
def test_the_sum_over_sorted_rewards_is_that_over_all_sets(rewards, data):
    k = data.draw(st.integers(2, len(rewards)))
    assert advantages_of([float(r) for r in rewards], k) == pytest.approx(by_counting(rewards, k))


@pytest.mark.parametrize("k", [2, 3])
def test_the_expected_gradient_is_that_of_the_best_of_k(k):
    # a policy with three programs of rewards 0, 0.4, 1; d/d logit_a of log p_b is [a = b] - p_a
    rewards, p, n = (0.0, 0.4, 1.0), (0.5, 0.3, 0.2), 3

    def derivative(a, draws, weights):
        return sum(weight * ((draw == a) - p[a]) for draw, weight in zip(draws, weights, strict=True))

    for a in range(3):
        estimate = exact = 0.0
        for draws in product(range(3), repeat=n):
            gains = advantages_of([rewards[draw] for draw in draws], k)
            estimate += prod(p[draw] for draw in draws) * derivative(a, draws, gains) / n
        for draws in product(range(3), repeat=k):
            best = max(rewards[draw] for draw in draws)
            exact += prod(p[draw] for draw in draws) * derivative(a, draws, [best] * k)
        assert estimate == pytest.approx(exact)


def test_programs_that_all_earn_the_same_have_exactly_no_advantage():
    assert advantages_of([0.1] * 5, k=3) == [0.0] * 5
    assert advantages_of([0.1] * 5, k=3, normalize="batch") == [0.0] * 5


def test_the_greedy_program_is_in_no_set_and_meets_the_mean():
    assert advantages_of([1.0, 0.0, 0.0], k=2, greedy=50.0) == advantages_of([1.0, 0.0, 0.0], k=2)


def test_groups_that_judging_left_small_are_compared_as_far_as_they_go():
    assert advantages_of([1.0, 0.0], k=4, incomplete=True) == pytest.approx([2.0, 0.0])  # as k = 2
    assert advantages_of([1.0], k=4, incomplete=True) == [0.0]
    with pytest.raises(
        ValueError, match=r"^algorithm\.advantages\.k is 4 with 2 sampled programs of problem p, expected"
    ):
        advantages_of([1.0, 0.0], k=4)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"baseline": "max_of_k", "k": 1}, r"^k is 1: expected a whole number of at least 2$"),
        ({"baseline": "max_of_k", "k": 2.5}, r"^k is 2\.5: expected a whole number of at least 2$"),
        ({"baseline": "group_mean", "k": 4}, r"^k is 4: expected null with baseline=group_mean: max_of_k alone"),
    ],
)
def test_a_k_that_says_nothing_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Advantages(**options)


def test_neither_spread_nor_length_bends_the_gradient(composed):
    algorithm = composed("train", "algorithm=pass_at_k").algorithm
    assert algorithm.mix.rl.objective.reduction == "sequence_sum"
    assert (algorithm.advantages.baseline, algorithm.advantages.normalize) == ("max_of_k", "none")
    assert algorithm.advantages.k == 4


def test_fewer_programs_than_k_are_refused_before_any_work(composed):
    read_training_config(composed("train", "algorithm=pass_at_k", "rollouts.samples=4"))
    with pytest.raises(ValueError, match=r"^rollouts\.samples is 3: expected at least 4 with algorithm\.advantages\."):
        read_training_config(composed("train", "algorithm=pass_at_k", "rollouts.samples=3"))
