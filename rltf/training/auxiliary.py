"""An auxiliary loss beside that of RL (`auxiliary=`): layers of its own on top of the policy, trained with it.

Its loss is one more term of the step, `auxiliary`, divided by its own count over the optimiser step as every term is
(`rltf.algorithms.loss_mix`). Its layers are a second group of the optimiser, clipped apart from the policy, so that the
policy's step is as large as without them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self

import torch
from torch import nn

from rltf.algorithms.objective import Loss
from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.types import Rollout

AUXILIARY = "auxiliary"
"""Name of the term in metrics and divisors, and of its state in checkpoints."""


class AuxiliaryBatch(Protocol):
    """What an auxiliary loss reads of one micro-batch. It stays whole where memory runs out."""

    @property
    def count(self) -> float:
        """What the sum of its losses is divided by; 0 where there is nothing to learn from."""
        ...

    @property
    def tokens(self) -> int:
        """Number of tokens that networks read, padding included."""
        ...

    def to(self, device: Any) -> Self:
        """The same batch on another device."""
        ...


class Auxiliary(nn.Module, ABC):
    """An auxiliary loss of a run; its parameters are those of its own layers.

    Args:
        weight: of its loss beside that of RL.
        lr: peak learning rate of its own layers; the policy's is the run's.
    """

    def __init__(self, weight: float, lr: float) -> None:
        super().__init__()
        self.weight, self.lr = weight, lr

    @abstractmethod
    def prepare(self, rollouts: Sequence[Rollout], seed: str) -> AuxiliaryBatch:
        """The batch that it reads beside the rollouts of a micro-batch.

        Args:
            rollouts: of the micro-batch.
            seed: of whatever is drawn; another one for every micro-batch of a run.
        """

    @abstractmethod
    def forward(self, policy: Policy, batch: AuxiliaryBatch) -> Loss:
        """The loss of a batch, with a gradient for each of its parameters, also where `batch.count` is 0: processes
        exchange gradients."""

    def start(self, policy: Policy) -> None:
        """Called when RL starts or resumes, before weights are loaded. By default, there is nothing to do."""

    def place(self, device: torch.device) -> None:
        """Moves what is no parameter to the device of the run. By default, there is nothing."""

    def move(self, policy: Policy) -> None:
        """Called after every optimiser step. By default, there is nothing to do."""

    def save(self, checkpoint: dict[str, Any], policy: Policy) -> None:
        """Adds what is no parameter to a checkpoint. By default, there is nothing."""

    def load(self, checkpoint: Mapping[str, Any]) -> None:
        """Restores what `save` added. By default, there is nothing."""


class AuxiliaryOptions(Protocol):
    """The options of an auxiliary loss, which a config holds: its layers are made once the policy is there."""

    def bind(self, policy: Policy, benchmark: Benchmark) -> Auxiliary:
        """The loss for a run's policy and benchmark.

        Raises:
            ValueError: it cannot read them.
        """
        ...
