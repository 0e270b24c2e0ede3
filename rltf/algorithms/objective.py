"""The protocol of an objective, and the loss that it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from rltf.types import RolloutBatch


@dataclass(frozen=True)
class Loss:
    """Sum of an objective's terms and the count that it is divided by, separate so that gradient accumulation and DDP
    weigh every token alike."""

    total: Tensor
    """Scalar with gradient: the sum over the batch."""
    count: Tensor
    """Scalar without gradient: tokens (or sequences) the sum is over, as the reduction says."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Detached scalars by name."""


class Objective(Protocol):
    """A loss function of log-probs, without state or I/O."""

    @property
    def needs_reference(self) -> bool:
        """True when `reference_logprobs_BT` must be given."""
        ...

    def count(self, batch: RolloutBatch) -> Tensor:
        """`Loss.count` of this batch. It depends on the mask alone, so it is known before the forward pass."""
        ...

    def __call__(self, logprobs_BT: Tensor, batch: RolloutBatch, reference_logprobs_BT: Tensor | None = None) -> Loss:
        """Loss of one batch.

        Args:
            logprobs_BT: log-probs of the response tokens with gradient, under the distribution that drew the rollouts.
            batch: the rollouts or demonstrations.
            reference_logprobs_BT: log-probs by the frozen reference; None: `needs_reference` is False.
        """
        ...
