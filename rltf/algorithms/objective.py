"""What an objective is, and how several become one loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from rltf.types import RolloutBatch


@dataclass(frozen=True)
class Loss:
    """A sum and what it is divided by, kept apart so that gradient accumulation and DDP weigh every token alike."""

    total: Tensor
    """Scalar with gradient: the sum over the batch."""
    count: Tensor
    """Scalar without gradient: tokens (or sequences) the sum is over, as the reduction says."""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    """Detached scalars; each name answers a question."""


class Objective(Protocol):
    """Turns log-probs into a loss. Pure: no state, no I/O."""

    @property
    def needs_reference(self) -> bool:
        """True when `reference_logprobs_BT` must be given."""
        ...

    def count(self, batch: RolloutBatch) -> Tensor:
        """What `Loss.count` of this batch will be. Needs the mask alone, so it is known before any forward pass."""
        ...

    def __call__(self, logprobs_BT: Tensor, batch: RolloutBatch, reference_logprobs_BT: Tensor | None = None) -> Loss:
        """`logprobs_BT` carry gradient, and are taken under the distribution the rollouts were drawn from."""
        ...
