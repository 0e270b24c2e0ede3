"""Optimiser and learning-rate schedule of a phase of training."""

from functools import partial

import pytest
import torch

from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.supervised import Supervised
from rltf.training.phase import Phase


def phase(optimizer=torch.optim.AdamW, **options):
    return Phase(
        name="warmup", mix=LossMix(supervised=WeightedObjective(Supervised())), optimizer=optimizer, lr=0.5, **options
    )


def weights():
    return [torch.nn.Parameter(torch.zeros(2))]


def test_the_optimiser_gets_the_rate_of_the_phase_and_its_own_options():
    optimizer = phase(partial(torch.optim.AdamW, weight_decay=0.3)).make_optimizer(weights(), fused=True)
    assert optimizer.defaults | {"lr": 0.5, "weight_decay": 0.3, "fused": True} == optimizer.defaults


def test_an_optimiser_without_a_fused_step_gets_no_such_option():
    assert isinstance(phase(torch.optim.RMSprop).make_optimizer(weights(), fused=True), torch.optim.RMSprop)


def test_a_fused_step_that_the_user_has_set_stays():
    optimizer = phase(partial(torch.optim.AdamW, fused=False)).make_optimizer(weights(), fused=True)
    assert optimizer.defaults["fused"] is False


def test_the_rate_rises_linearly_and_falls_to_a_tenth():
    factors = [phase(warmup_steps=4, decay_steps=10).lr_factor(step) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[7] == pytest.approx(0.55)
    assert factors[10] == factors[11] == pytest.approx(0.1)
    assert phase(warmup_steps=4).lr_factor(100) == 1.0
