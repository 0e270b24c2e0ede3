"""The target of bootstrapped losses: a copy of the policy whose weights are a moving average of the policy's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from rltf.algorithms.target import TargetNetwork
from rltf.policies.base import Policy

KEY = "target"
"""Of the target's weights in checkpoints."""


class TargetPolicy:
    """A copy of a policy that follows it. It is no submodule of anything: neither trained nor in a `state_dict`.

    Args:
        policy: the policy as it is now; it is copied.
        network: how fast the copy follows.
    """

    def __init__(self, policy: Policy, network: TargetNetwork) -> None:
        self.policy = policy.copy().requires_grad_(False).eval()
        self._network = network

    def place(self, device: torch.device) -> None:
        """Moves the copy to a device."""
        self.policy.to(device)

    def move(self, policy: Policy) -> None:
        """Moves the trained weights towards the policy's; once an optimiser step."""
        pairs = list(self._pairs(policy))
        self._network.move((weight for _, weight, _ in pairs), (weight for *_, weight in pairs))

    def save(self, checkpoint: dict[str, Any], policy: Policy) -> None:
        """Adds the weights that the policy trains to a checkpoint, by name; all others are the policy's own. The frozen
        start can be made again, a moving average cannot."""
        checkpoint[KEY] = {name: weight.detach() for name, weight, _ in self._pairs(policy)}

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Restores the weights that `save` added; a checkpoint without them is one of a policy before RL."""
        weights = checkpoint.get(KEY, {})
        for name, weight in self.policy.named_parameters():
            if name in weights:
                weight.data.copy_(weights[name])

    def _pairs(self, policy: Policy) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Name, the target's weight and the policy's, of all weights that the policy trains."""
        weights = dict(self.policy.named_parameters())
        for name, weight in policy.named_parameters():
            if weight.requires_grad:
                yield name, weights[name], weight
