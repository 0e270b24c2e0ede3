"""`algorithm.advantages.terms=apart`: rewards of several terms, compared one by one; numbers worked out by hand."""

import math

import pytest
from rollout_strategies import build_program

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.types import Credit, Outcome, Verdict

FAILED = Verdict(Outcome.WRONG_ANSWER, 0, 10)


def group_of(problem="p", **terms):
    """A group whose programs have these rewards by term; None: the term says nothing of that program."""
    group = []
    for draw, values in enumerate(zip(*terms.values(), strict=True)):
        credits = [Credit(term, value) for term, value in zip(terms, values, strict=True) if value is not None]
        group.append((build_program(problem, draw=draw), FAILED, tuple(credits)))
    return CreditedGroup(group)


def apart(*groups, normalize="std", **options):
    rollouts = Advantages("group_mean", normalize, terms="apart", **options)(groups)
    return [[rollout.advantage for rollout in group] for group in rollouts]


def test_a_small_term_drowns_in_the_sum_and_counts_apart():
    group = group_of(passes=[1.0, 0.0, 0.0, 0.0], style=[0.0, 0.1, 0.1, 0.1])
    together = Advantages("group_mean", "std")([group])[0]
    # sums 1, 0.1, 0.1, 0.1: mean 0.325, spread 0.675 / sqrt(3): the style is lost
    assert [r.advantage for r in together] == pytest.approx([math.sqrt(3)] + [-1 / math.sqrt(3)] * 3)
    # each term alone: +-sqrt(3) and -+1/sqrt(3), which cancel
    assert apart(group)[0] == pytest.approx([0.0] * 4)


def test_each_term_is_normalised_in_the_group_then_weighed_and_the_sum_by_the_harvest():
    # passes: 1, 0, 0, 1 -> +1, -1, -1, +1; length: 0, -2, 0, -2 -> +1, -1, +1, -1
    group = group_of(passes=[1.0, 0.0, 0.0, 1.0], length=[0.0, -2.0, 0.0, -2.0])
    # sums 2, -2, 0, 0; their spread is sqrt(8 / 4)
    assert apart(group)[0] == pytest.approx([math.sqrt(2), -math.sqrt(2), 0.0, 0.0])
    # a quarter of length: 1.25, -1.25, -0.75, 0.75; spread sqrt((2 * 1.5625 + 2 * 0.5625) / 4) = sqrt(1.0625)
    expected = [a / math.sqrt(1.0625) for a in (1.25, -1.25, -0.75, 0.75)]
    assert apart(group, weights={"length": 0.25})[0] == pytest.approx(expected)


def test_a_term_that_is_constant_in_a_group_says_nothing_there():
    live = group_of("a", passes=[1.0, 0.0], length=[-1.0, -1.0])
    dead = group_of("b", passes=[0.0, 0.0], length=[-0.3, -0.3])
    # only the first group's passes differ: +1, -1, 0, 0 over sqrt(2 / 4)
    assert apart(live, dead) == [pytest.approx([math.sqrt(2), -math.sqrt(2)]), [0.0, 0.0]]


def test_the_harvest_divides_all_groups_by_one_number():
    both = group_of("a", passes=[1.0, 0.0], length=[0.0, -1.0])  # +2, -2
    one = group_of("b", passes=[1.0, 0.0], length=[0.0, 0.0])  # +1, -1
    spread = math.sqrt((4 + 4 + 1 + 1) / 4)
    assert apart(both, one) == [pytest.approx([2 / spread, -2 / spread]), pytest.approx([1 / spread, -1 / spread])]


def test_with_batch_each_term_is_divided_by_its_spread_over_the_harvest():
    first = group_of("a", passes=[1.0, 0.0], length=[0.0, 0.0])  # centred: +0.5, -0.5
    second = group_of("b", passes=[0.0, 0.0], length=[0.2, 0.0])  # centred: +0.1, -0.1
    # each term's spread: 0.5 / sqrt(2), 0.1 / sqrt(2); so +-sqrt(2) everywhere, whose spread is sqrt(2)
    assert apart(first, second, normalize="batch") == [pytest.approx([1.0, -1.0])] * 2


def test_a_term_compares_the_programs_that_it_speaks_of():
    # length speaks of the two that pass: 0 and -1 -> +1, -1; it says nothing for or against the others
    group = group_of(passes=[1.0, 1.0, 0.0, 0.0], length=[0.0, -1.0, None, None])
    # sums 2, 0, -1, -1: spread sqrt(6 / 4)
    spread = math.sqrt(1.5)
    assert apart(group)[0] == pytest.approx([2 / spread, 0.0, -1 / spread, -1 / spread])
    alone = group_of(passes=[1.0, 0.0], length=[-1.0, None])
    assert apart(alone)[0] == pytest.approx([1.0, -1.0])


@pytest.mark.parametrize("baseline", ["group_mean", "leave_one_out", "greedy_latest", "best_so_far", "none"])
def test_every_baseline_compares_a_term_that_speaks_of_one_program_or_of_none(baseline):
    group = group_of(passes=[1.0, 0.0, 0.0], length=[-1.0, None, None])
    greedy = (build_program("p", greedy=True), FAILED, (Credit("passes", 0.0),))
    harvest = [CreditedGroup([greedy, *group.programs]), CreditedGroup([])]
    [rollouts, empty] = Advantages(baseline, "std", terms="apart")(harvest)
    assert empty == []
    assert all(math.isfinite(rollout.advantage) for rollout in rollouts)


def test_one_term_apart_is_that_term_normalised_twice():
    group = group_of(passes=[1.0, 0.0, 0.0, 1.0])
    assert apart(group)[0] == [1.0, -1.0, -1.0, 1.0]


def test_equal_rewards_have_advantages_of_exactly_zero():
    assert apart(group_of(passes=[0.1] * 3, length=[-0.7] * 3))[0] == [0.0] * 3


def test_reward_and_baseline_of_a_rollout_are_sums_and_spans_are_compared_with_nothing():
    group = group_of(passes=[1.0, 0.0], length=[0.0, -1.0])
    program, verdict, credits = group.programs[1]
    blamed = CreditedGroup([group.programs[0], (program, verdict, (*credits, Credit("fine", -0.6, (0, 1))))])
    [rollouts] = Advantages("group_mean", "std", terms="apart")([blamed])
    assert [(r.reward, r.baseline) for r in rollouts] == [(1.0, 0.0), (-1.0, 0.0)]
    assert [r.advantage for r in rollouts] == [1.0, -1.0]


def test_resumed_histories_of_terms_give_the_same_advantages():
    best, resumed = (Advantages("best_so_far", "std", terms="apart") for _ in range(2))
    best([group_of(passes=[1.0, 0.0], length=[-0.3, 0.0])])
    assert best.state_dict() == {"terms": {"passes": {"best": {"p": 1.0}}, "length": {"best": {"p": 0.0}}}}
    resumed.load_state_dict(best.state_dict())
    later = [group_of(passes=[0.0, 1.0], length=[-1.0, -0.5])]
    assert resumed(later) == best(later)
    assert resumed.state_dict() == best.state_dict()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"terms": "alone"}, r"^terms is 'alone': expected together or apart$"),
        ({"terms": "apart", "normalize": "none"}, r"^normalize is 'none': expected std, sample_std or batch with"),
        (
            {"terms": "apart", "normalize": "std", "weights": {"fine": -1}},
            r"^weights\.fine is -1: expected a number of",
        ),
        ({"terms": "apart", "normalize": "std", "weights": 2}, r"^weights is 2: expected null or a mapping"),
        ({"weights": {"coarse": 2.0}}, r"^weights is \{'coarse': 2\.0\}: expected null with terms=together"),
    ],
)
def test_a_wrong_option_is_refused_with_its_key(options, words):
    with pytest.raises(ValueError, match=words):
        Advantages(**options)


def test_a_weight_of_a_term_that_the_reward_does_not_have_is_refused(composed):
    from rltf.setup.checks import read_training_config

    options = ("algorithm=grpo", "reward=coarse+adaptive", "algorithm.advantages.terms=apart")
    read_training_config(composed("train", *options, "algorithm.advantages.weights={adaptive: 0.5}"))
    with pytest.raises(
        ValueError, match=r"^algorithm\.advantages\.weights\.fine is 0\.5: expected a term of the reward"
    ):
        read_training_config(composed("train", *options, "algorithm.advantages.weights={fine: 0.5}"))
    with pytest.raises(ValueError, match=r"^algorithm\.advantages\.normalize is 'none': expected std"):
        read_training_config(composed("train", "algorithm=dr_grpo", "algorithm.advantages.terms=apart"))
