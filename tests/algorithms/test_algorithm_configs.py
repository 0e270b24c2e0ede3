from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from objective_batches import batch_of

from rltf.algorithms.advantages import Advantages
from rltf.algorithms.loss_mix import LossMix
from rltf.algorithms.objective import BatchLogprobs, TokenScores
from rltf.rollouts.buffer import RolloutBuffer
from rltf.setup.instantiate import build

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(path.stem for path in (CONFIGS / "algorithm").glob("*.yaml"))


def scored_by_all(batch, logprobs_BT):
    """What objectives read when every network says the same: values are 0."""
    values_BT = torch.zeros_like(logprobs_BT)
    scores = TokenScores(logprobs_BT.detach(), values_BT)
    return BatchLogprobs(batch, logprobs_BT, scores, values_BT, scores)


def component(group, name, *overrides):
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        return instantiate(compose(overrides=[f"+{group}={name}", *overrides])[group])


@pytest.mark.parametrize("name", NAMES)
def test_algorithm_composes_and_gives_a_finite_loss_with_gradient(name):
    algorithm = component("algorithm", name)
    mix = algorithm.mix
    assert isinstance(mix, LossMix)
    assert isinstance(algorithm.advantages, Advantages)
    logprobs_BT = torch.full((2, 3), -1.0, requires_grad=True)
    batch = batch_of([[1.0] * 3, [-0.5] * 3], lengths=[3, 2], old_logprobs=[[-1.0] * 3] * 2)
    loss = mix({term: scored_by_all(batch, logprobs_BT) for term in mix.terms})
    loss.total.backward()
    assert torch.isfinite(logprobs_BT.grad).all()
    assert logprobs_BT.grad[0, 0] < 0


def test_sft_samples_nothing_and_rltf_learns_from_both():
    assert not component("algorithm", "sft").mix.needs_rollouts
    both = component("algorithm", "rltf").mix
    assert both.needs_rollouts
    assert both.needs_demonstrations
    assert not component("algorithm", "reinforce").mix.needs_demonstrations


def test_paper_and_official_code_are_a_switch_away():
    overrides = [
        "algorithm.advantages.baseline=greedy_latest",
        "algorithm.mix.rl.objective.reduction=token_mean",
        "algorithm.mix.rl.objective.importance_clip=2.0",
        "algorithm.mix.supervised.weight=0.5",
    ]
    mix = component("algorithm", "rltf", *overrides).mix
    assert mix.terms["rl"].objective.reduction == "token_mean"
    assert mix.terms["supervised"].weight == 0.5
    assert component("algorithm", "rltf").advantages.needs_greedy


def test_buffer_of_the_paper_holds_6400_rollouts():
    buffer = component("buffer", "fifo")
    assert isinstance(buffer, RolloutBuffer)
    assert buffer.capacity == 6400


@pytest.mark.parametrize(
    ("key", "value", "option"),
    [
        ("algorithm.advantages", "best", "baseline"),
        ("algorithm.selection", "-1", "rounds"),
        ("algorithm.mix", "-0.1", "rl.objective.eps_low"),
        ("algorithm.mix", "0", "rl.weight"),
        ("buffer", "0", "capacity"),
    ],
)
def test_a_wrong_option_is_refused_by_its_path_in_the_config(composed, key, value, option):
    cfg = composed("train", "algorithm=dapo", f"{key}.{option}={value}")
    with pytest.raises(ValueError, match=rf"^{key}\.{option} is '?{value}"):
        build(cfg, key)
