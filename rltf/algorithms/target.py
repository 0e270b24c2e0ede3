"""Moving average of a policy's weights, the target of bootstrapped losses (Polyak averaging):
target <- target + rate (policy - target), once an optimiser step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.validation import require


@dataclass(frozen=True)
class TargetNetwork:
    """How fast the target follows the policy."""

    rate: float = 0.01
    """Share of the way to the policy that the target goes in one optimiser step; 1: it is the policy of the step
    before. It has gone half of the way after about 0.69 / rate steps."""

    def __post_init__(self) -> None:
        require("rate", self.rate, above=0, at_most=1)

    @torch.no_grad()
    def move(self, target: Iterable[Tensor], policy: Iterable[Tensor]) -> None:
        """Moves the target's weights towards the policy's, in place.

        Args:
            target: weights of the target.
            policy: the policy's, in the same order.
        """
        for target_weight, policy_weight in zip(target, policy, strict=True):
            target_weight.lerp_(policy_weight, self.rate)
