"""Configs whose programs could teach nothing are refused with the key, before any work."""

import pytest

from rltf.algorithms.baselines import BASELINES
from rltf.algorithms.group_rewards import GroupRewards
from rltf.setup.checks import read_training_config


@pytest.mark.parametrize("algorithm", ["grpo", "dapo", "dr_grpo", "rloo", "rltf_group"])
def test_one_program_a_problem_cannot_be_compared_with_its_group(composed, algorithm):
    cfg = composed("train", f"algorithm={algorithm}", "reward=coarse", "rollouts.samples=1")
    baseline = "leave_one_out" if algorithm == "rloo" else "group_mean"
    expected = rf"^rollouts\.samples is 1: expected at least 2 with algorithm\.advantages\.baseline={baseline}, "
    with pytest.raises(ValueError, match=expected):
        read_training_config(cfg)
    read_training_config(composed("train", f"algorithm={algorithm}", "reward=coarse", "rollouts.samples=2"))


@pytest.mark.parametrize("algorithm", ["rltf", "reinforce", "ppo", "sft"])
def test_one_program_is_enough_for_other_baselines(composed, algorithm):
    critic = ["critic=value"] if algorithm == "ppo" else []
    read_training_config(composed("train", f"algorithm={algorithm}", "rollouts.samples=1", *critic))


def test_a_critic_of_values_takes_the_place_of_the_group(composed):
    read_training_config(composed("train", "algorithm=grpo", "credit=gae", "critic=value", "rollouts.samples=1"))


@pytest.mark.parametrize("credit", ["tests", "tree"])
def test_one_program_a_problem_cannot_be_compared_token_by_token(composed, credit):
    expected = r"^rollouts\.samples is 1: expected at least 2 with credit\._target_=rltf\.credit\."
    with pytest.raises(ValueError, match=expected):
        read_training_config(composed("train", "algorithm=rltf", f"credit={credit}", "rollouts.samples=1"))
    read_training_config(composed("train", "algorithm=rltf", f"credit={credit}", "rollouts.samples=2"))


@pytest.mark.parametrize("baseline", BASELINES)
def test_least_samples_is_where_advantages_of_the_group_can_differ_from_zero(baseline):
    rule = BASELINES[baseline]()
    rewards = (1.0, 0.0, 0.25)[: rule.least_samples]
    greedy = 0.5 if rule.needs_greedy else None
    baselines = rule(GroupRewards("p", rewards, greedy))
    assert any(reward != other for reward, other in zip(rewards, baselines, strict=False))
    if rule.least_samples > 1:
        alone = GroupRewards("p", rewards[:1], incomplete=True)
        assert rule(alone) == list(rewards[:1])


def test_selection_of_groups_needs_two_programs(composed):
    cfg = composed("train", "algorithm=dapo", "algorithm.advantages.baseline=none", "rollouts.samples=1")
    with pytest.raises(ValueError, match=r"^rollouts\.samples is 1: expected at least 2 with algorithm\.selection"):
        read_training_config(cfg)


@pytest.mark.parametrize("option", ["top_k=1", "min_p=1", "min_p=1.0"])
def test_one_token_to_choose_from_has_no_gradient(composed, option):
    key = option.partition("=")[0]
    with pytest.raises(ValueError, match=rf"^generation\.sampling\.{key} is 1.*: expected a distribution of several"):
        read_training_config(composed("train", f"generation.sampling.{option}"))
    read_training_config(composed("train", "algorithm=sft", f"generation.sampling.{option}"))
