"""Weights are trained in a type that holds the steps of training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from policy_kinds import llama_policy

from rltf.policies.load import pretrained
from rltf.policies.precision import check_trained_weights, movable_share
from rltf.setup.devices import check_precision


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_are_refused_where_they_are_trained(dtype: str, tmp_path: Path):
    llama_policy().export(tmp_path)
    policy = pretrained(name="llama", path=str(tmp_path), dtype=dtype, max_prompt_tokens=64)
    with pytest.raises(ValueError, match=rf"^model\.dtype is '{dtype}': expected float32 .* trainer\.precision=bf16-m"):
        check_trained_weights(policy)
    check_trained_weights(policy.requires_grad_(False))  # only evaluated


def test_float32_weights_and_float32_adapters_on_half_precision_are_trained(tmp_path: Path):
    pytest.importorskip("peft", reason="the extra lora is not installed")
    llama_policy().export(tmp_path)
    check_trained_weights(pretrained(name="llama", path=str(tmp_path), max_prompt_tokens=64))
    lora = pretrained(name="llama", path=str(tmp_path), dtype="bfloat16", max_prompt_tokens=64, lora={"r": 2})
    assert lora.model.dtype == torch.bfloat16
    check_trained_weights(lora)


@pytest.mark.parametrize("precision", ["16-true", "bf16-true"])
def test_a_trainer_that_would_shorten_the_weights_is_refused(precision: str):
    with pytest.raises(ValueError, match=rf"^trainer\.precision is '{precision}': expected bf16-mixed, 16-mixed or"):
        check_precision(precision)
    check_precision("bf16-mixed")
    check_precision(32)


def test_a_step_moves_the_weights_whose_neighbours_are_near_enough():
    """Neighbours of a float32 in [1, 2) are 2**-23 apart, of a bfloat16 2**-7: a step below half of that is lost."""
    ones = torch.nn.Parameter(torch.ones(10))
    assert movable_share([ones], 2**-23) == 1.0
    assert movable_share([ones], 2**-25) == 0.0
    assert movable_share([torch.nn.Parameter(torch.ones(10, dtype=torch.bfloat16))], 2**-9) == 0.0
    assert movable_share([ones, torch.nn.Parameter(torch.zeros(30))], 2**-25) == 0.75


def test_the_shipped_rate_moves_float32_and_not_bfloat16():
    weights = torch.nn.Parameter(torch.randn(100_000, generator=torch.Generator().manual_seed(0)) * 0.02)
    assert movable_share([weights], 2e-6) == 1.0
    assert movable_share([torch.nn.Parameter(weights.bfloat16())], 2e-6) < 0.1


def test_a_rate_at_which_weights_stay_where_they_are_is_told(caplog: pytest.LogCaptureFixture):
    from rltf.algorithms.loss_mix import LossMix, WeightedObjective
    from rltf.algorithms.supervised import Supervised
    from rltf.training.phase import Phase

    supervised = LossMix(supervised=WeightedObjective(Supervised()))
    for lr, name, told in ((1e-3, "rl", ""), (1e-9, "rl", "optimizer.lr"), (1e-9, "warmup", "warmup.lr")):
        caplog.clear()
        phase = Phase(name=name, mix=supervised, optimizer=torch.optim.AdamW, lr=lr)
        phase.make_optimizer([torch.nn.Parameter(torch.ones(4))], fused=False)
        expected = f"{told} is 1e-09: such a step leaves 100% of the weights as they are"
        assert caplog.messages == ([expected] if told else [])
