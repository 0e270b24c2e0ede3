"""Policy gradient with bounded importance weights: CISPO (MiniMax-M1, arXiv 2506.13585).

    L = -(1/N) sum_t sg(min(rho_t, 1 + eps_high)) A_t log p_t        rho = p / p_behaviour, sg: without gradient

GRPO's clip takes the gradient from tokens whose ratio has left the clip range; this bounds their weight and keeps their
gradient. It is `Reinforce` with `importance_clip` 1 + eps_high, under the paper's name. How it deviates from the paper:
1. There is no lower bound: the paper's is so wide that it never acts.
2. A token that the present policy can no longer draw has no gradient.
3. `kl` may be added; the paper has no KL term.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from rltf.algorithms.objective import BatchLogprobs, Loss, Need
from rltf.algorithms.reinforce import Reinforce
from rltf.types import RolloutBatch
from rltf.validation import require


@dataclass(frozen=True)
class CISPO:
    """REINFORCE on stale programs, the ratio of each token being its weight up to a bound."""

    eps_high: float = 2.0
    """Ratios weigh at most 1 + eps_high."""
    kl: float = 0.0
    """Weight of the divergence from the frozen reference; 0: no reference is kept."""
    reduction: str = "token_mean"
    """`token_mean` (paper), `sequence_mean` or `sequence_sum`."""

    def __post_init__(self) -> None:
        require("eps_high", self.eps_high, at_least=0)
        self._reinforce()  # which checks what is its own

    @property
    def needs(self) -> frozenset[Need]:
        """The frozen reference, when the loss has a KL term."""
        return self._reinforce().needs

    @property
    def reads_zero_weights(self) -> bool:
        """False without a KL term: then rows whose tokens all weigh 0 have no loss."""
        return self.kl > 0

    def count(self, batch: RolloutBatch) -> Tensor:
        """Number of tokens or sequences in the batch, by the reduction."""
        return self._reinforce().count(batch)

    def __call__(self, scored: BatchLogprobs) -> Loss:
        """Policy-gradient loss, with the metrics of `Reinforce`: `truncated_share` is that of bounded tokens."""
        return self._reinforce()(scored)

    def _reinforce(self) -> Reinforce:
        return Reinforce(reduction=self.reduction, importance_clip=1.0 + self.eps_high, kl=self.kl)
