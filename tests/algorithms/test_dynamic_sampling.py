from dataclasses import replace

import pytest
from rollout_strategies import build_rollout

from rltf.algorithms.dynamic_sampling import DynamicSampling


def group(*rewards, greedy=None):
    rollouts = [replace(build_rollout(draw=i), reward=reward) for i, reward in enumerate(rewards)]
    return rollouts if greedy is None else [replace(build_rollout(greedy=True), reward=greedy), *rollouts]


MIXED, FAILED, PASSED = group(1.0, 0.0), group(0.0, 0.0), group(1.0, 1.0)


class Draws:
    """Hands out groups in order, and notes what it was asked for."""

    def __init__(self, *groups):
        self.groups, self.asked = list(groups), []

    def __call__(self, problems, number):
        self.asked.append((problems, number))
        given, self.groups = self.groups[:problems], self.groups[problems:]
        return given


def test_groups_whose_programs_all_earn_the_same_make_room_for_others():
    draws = Draws(FAILED, MIXED, MIXED)
    judged, kept = DynamicSampling(rounds=3)([MIXED, FAILED, PASSED], draws)
    assert draws.asked == [(2, 1), (1, 2)]  # two are missing, then one, then none
    assert kept == [MIXED, MIXED, MIXED]
    assert judged == [MIXED, FAILED, PASSED, FAILED, MIXED, MIXED]


def test_rounds_are_bounded_and_what_is_missing_stays_missing():
    draws = Draws(*[FAILED] * 10)
    judged, kept = DynamicSampling(rounds=2)([MIXED, FAILED, FAILED], draws)
    assert draws.asked == [(2, 1), (2, 2)]
    assert (len(judged), kept) == (7, [MIXED])
    assert DynamicSampling(rounds=0)([MIXED, FAILED], Draws())[1] == [MIXED]


def test_where_no_group_teaches_anything_all_are_kept():
    assert DynamicSampling(rounds=1)([FAILED], Draws(PASSED)) == ([FAILED, PASSED], [FAILED, PASSED])


def test_the_greedy_program_does_not_make_a_group_worth_training_on():
    assert DynamicSampling(rounds=0)([MIXED, group(0.0, 0.0, greedy=1.0)], Draws())[1] == [MIXED]


def test_equal_sums_of_terms_that_are_compared_apart_are_trained_on():
    apart = [replace(rollout, advantage=advantage) for rollout, advantage in zip(FAILED, (1.0, -1.0), strict=True)]
    assert DynamicSampling(rounds=0)([apart, PASSED], Draws())[1] == [apart]


def test_a_negative_number_of_rounds_is_refused_by_its_key():
    with pytest.raises(ValueError, match=r"^rounds is -1"):
        DynamicSampling(rounds=-1)
