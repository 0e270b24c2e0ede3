"""The moving average of a policy in a run: made when RL begins, moved by every step, kept in checkpoints."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file

from rltf.algorithms.target import TargetNetwork
from rltf.commands.train import train
from rltf.policies.tiny import tiny_t5
from rltf.runs.checkpoint_file import read_checkpoint
from rltf.training.target import TargetPolicy

RUN = (
    "debug=default",
    "benchmark.sizes={train: 40, validation: 4, test: 4}",
    "algorithm=soft_q",
    "algorithm.target.rate=0.25",
    "report=false",
    "logger=none",
    "callbacks.progress=null",
    "warmup.steps=3",
    "rollouts.lag=0",
    "rollouts.updates=2",
    "schedule={warmup_steps: 0, decay: false}",
)


def weights(folder, key):
    return read_checkpoint(folder / "checkpoints/last.ckpt")[key]


def test_a_run_that_was_stopped_and_goes_on_has_the_same_target_and_policy_to_the_bit(composed, tmp_path):
    options = (*RUN, "rollouts.online=false")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train(composed("train", *options, "trainer.max_epochs=4", f"paths.output_dir={whole}"))
    train(composed("train", *options, "trainer.max_epochs=2", f"paths.output_dir={cut}"))
    early = weights(cut, "target")
    train(composed("train", *options, "trainer.max_epochs=4", f"paths.output_dir={cut}", f"resume={cut}"))
    target, policy = weights(whole, "target"), weights(whole, "state_dict")
    assert target.keys() == early.keys()
    assert all(torch.equal(weights(cut, "target")[name], weight) for name, weight in target.items())
    exported = [load_file(folder / "policy/model.safetensors") for folder in (whole, cut)]
    assert all(torch.equal(exported[0][name], exported[1][name]) for name in exported[0])
    # it has moved, and it is not where the policy is
    assert any(not torch.equal(early[name], weight) for name, weight in target.items())
    assert any(not torch.equal(policy[f"policy.{name}"], weight) for name, weight in target.items())


@pytest.mark.parametrize("accumulate", [1, 2])
def test_the_target_moves_once_an_optimiser_step(composed, monkeypatch, accumulate):
    moves = []
    monkeypatch.setattr(TargetPolicy, "move", lambda self, policy: moves.append(policy))
    module = train(
        composed("train", *RUN, "trainer.max_epochs=2", f"trainer.accumulate_grad_batches={accumulate}")
    ).module
    assert len(moves) == 2 * 2
    assert all(policy is module.policy for policy in moves)


def test_the_target_of_a_policy_with_frozen_weights_holds_the_trained_ones():
    policy = tiny_t5(d_model=32, layers=1)
    frozen = next(iter(policy.parameters()))
    frozen.requires_grad_(False)
    target = TargetPolicy(policy, TargetNetwork(1.0))
    with torch.no_grad():
        for weight in policy.parameters():
            weight.add_(1.0)
    target.move(policy)
    checkpoint = {}
    target.save(checkpoint, policy)
    state = checkpoint["target"]
    names = {name for name, weight in policy.named_parameters() if weight.requires_grad}
    assert state.keys() == names
    assert all(torch.equal(state[name], weight) for name, weight in policy.named_parameters() if name in names)
    other = TargetPolicy(tiny_t5(d_model=32, layers=1), TargetNetwork(1.0))
    other.load(checkpoint)
    assert all(torch.equal(dict(other.policy.named_parameters())[name], weight) for name, weight in state.items())
    assert not any(weight.requires_grad for weight in other.policy.parameters())
