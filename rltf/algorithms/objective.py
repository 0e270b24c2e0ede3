"""The protocol of an objective, what it reads, and the loss that it returns. B rows, T tokens."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Literal, Protocol

from torch import Tensor

from rltf.types import RolloutBatch

Need = Literal["reference", "values", "target"]
"""What an objective may read beside the policy's log-probs: the frozen start's log-probs (`reference`), values of
states by every network that is read (`values`), and a moving average of the policy (`target`)."""


@dataclass(frozen=True)
class TokenScores:
    """What one network says of the response tokens of a batch."""

    logprobs_BT: Tensor
    """float32 log-prob of each token, in nats."""
    values_BT: Tensor | None = None
    """float32 log-sum-exp of the logits that each token is drawn from, in nats; None: no objective needs `values`."""


@dataclass(frozen=True)
class BatchLogprobs:
    """A batch and what the policy, the frozen start and the target say of its responses."""

    batch: RolloutBatch
    logprobs_BT: Tensor
    """float32 with gradient, under the distribution that drew the rollouts, or under the policy's own for an objective
    whose `own_distribution` is True."""
    reference: TokenScores | None = None
    """By the policy as it was when RL began, without gradient; None: it was not kept."""
    values_BT: Tensor | None = None
    """float32 with gradient; see `TokenScores`."""
    target: TokenScores | None = None
    """By a moving average of the policy, without gradient; None: no objective needs it."""


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
    def needs(self) -> Set[Need]:
        """The parts of `BatchLogprobs` that must be there; empty: batch and log-probs are enough."""
        ...

    def count(self, batch: RolloutBatch) -> Tensor:
        """`Loss.count` of this batch. It depends on the mask alone, so it is known before the forward pass."""
        ...

    def __call__(self, scored: BatchLogprobs) -> Loss:
        """Loss of one batch.

        Args:
            scored: rollouts or demonstrations with log-probs, and what `needs` names.
        """
        ...
