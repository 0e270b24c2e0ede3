"""RL trains without dropout, so that the first step's ratios are 1; supervised training has the model's."""

from __future__ import annotations

import pytest
import torch

from rltf.algorithms.grpo import GRPO
from rltf.algorithms.loss_mix import LossMix, WeightedObjective
from rltf.algorithms.supervised import Supervised
from rltf.policies.tiny import tiny_t5
from rltf.training.module import RLTFModule
from rltf.training.phase import Phase
from rltf.types import Sampling

SUPERVISED = LossMix(supervised=WeightedObjective(Supervised()))
RL = LossMix(rl=WeightedObjective(GRPO()), supervised=WeightedObjective(Supervised()))


@pytest.mark.parametrize(
    ("name", "mix", "rate"),
    [("warmup", SUPERVISED, 0.1), ("rl", RL, 0.0), ("rl", SUPERVISED, 0.1)],  # the last: algorithm=sft
)
def test_dropout_is_that_of_the_phase(name: str, mix: LossMix, rate: float):
    module = RLTFModule(tiny_t5(d_model=32, layers=1, dropout=0.1), Sampling(), ks=[1], keeps_start_policy=True)
    for other in (RL, SUPERVISED):  # whatever was trained before
        module.start(Phase(name="warmup", mix=other, optimizer=torch.optim.AdamW, lr=1e-3))
        module.start(Phase(name=name, mix=mix, optimizer=torch.optim.AdamW, lr=1e-3))  # type: ignore[arg-type]
        assert {m.p for m in module.policy.modules() if isinstance(m, torch.nn.Dropout)} == {rate}
        assert module.policy.training
    if name == "rl":
        assert not module.start_policy.training
