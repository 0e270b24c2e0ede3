"""An auxiliary loss in a run: one more term, layers of its own, a state in checkpoints."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from rltf.algorithms.loss_mix import LossMix, WeightedObjective, window_divisors
from rltf.algorithms.objective import Loss
from rltf.algorithms.supervised import Supervised
from rltf.policies.tiny import tiny_t5
from rltf.rollouts.collate import collate_demonstrations
from rltf.training.auxiliary import Auxiliary
from rltf.training.micro_batches import TrainBatch


@dataclass(frozen=True)
class Numbers:
    """A batch of an auxiliary loss."""

    value_N: torch.Tensor

    @property
    def count(self):
        return float(len(self.value_N))

    @property
    def tokens(self):
        return 100 * len(self.value_N)

    def to(self, device):
        return Numbers(self.value_N.to(device))


class Distance(Auxiliary):
    """Squared distance of numbers from a weight of its own."""

    def __init__(self):
        super().__init__(weight=0.5, lr=0.1)
        self.centre = nn.Parameter(torch.zeros(()))

    def prepare(self, rollouts, seed):
        return Numbers(torch.tensor([rollout.reward for rollout in rollouts]))

    def forward(self, policy, batch):
        return Loss((batch.value_N - self.centre).square().sum(), torch.tensor(batch.count))


def test_its_loss_is_one_more_term_with_a_weight_and_a_divisor_of_its_own():
    mix = LossMix(supervised=WeightedObjective(Supervised()))
    distance = Distance()
    windows = [Numbers(torch.tensor([1.0, 3.0])), Numbers(torch.tensor([2.0]))]
    divisors = window_divisors([{"auxiliary": batch.count} for batch in windows], accumulate=2)
    assert divisors == [{"auxiliary": 1.5}, {"auxiliary": 1.5}]
    losses = [
        mix({}, divisor, {"auxiliary": (distance(None, batch), distance.weight)})
        for batch, divisor in zip(windows, divisors, strict=True)
    ]
    # the trainer takes the mean of both: 0.5 * (1 + 9 + 4) / 3
    assert (losses[0].total + losses[1].total).item() / 2 == pytest.approx(0.5 * 14 / 3)
    assert losses[0].metrics["loss/auxiliary"].item() == 5.0
    assert losses[0].metrics["loss/total"].item() == pytest.approx(0.5 * 10 / 1.5)


def test_where_memory_runs_out_it_is_a_piece_of_its_own_and_whole():
    rows = collate_demonstrations([((5, 6), (7, 8, 1))] * 4, 0, "right")
    batch = TrainBatch({"rl": rows}, {"rl": 2.0, "auxiliary": 3.0}, Numbers(torch.ones(3)))
    assert batch.tokens == 4 * 5 + 300
    assert batch.split(1) == [batch]
    pieces = batch.split(4)
    assert [list(piece.batches) for piece in pieces] == [["rl"]] * 4 + [[]]
    assert [piece.auxiliary for piece in pieces] == [None] * 4 + [batch.auxiliary]
    assert pieces[-1].divisors == batch.divisors
    assert len(TrainBatch({"rl": rows}, {"rl": 2.0}).split(4)) == 4


def test_it_goes_to_the_device_of_the_batch():
    rows = collate_demonstrations([((5,), (7, 1))], 0, "right")
    moved = TrainBatch({"rl": rows}, {"rl": 1.0}, Numbers(torch.ones(2))).to("meta")
    assert moved.auxiliary.value_N.device.type == "meta"
    assert TrainBatch({"rl": rows}, {"rl": 1.0}).to("meta").auxiliary is None


def test_its_layers_are_no_part_of_the_policy():
    policy, distance = tiny_t5(d_model=32, layers=1), Distance()
    distance.start(policy)
    assert not {id(weight) for weight in distance.parameters()} & {id(weight) for weight in policy.parameters()}
