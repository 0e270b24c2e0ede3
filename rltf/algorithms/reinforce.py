"""RLTF's policy gradient: L = -sum_t w_t log p_t, where w_t is the advantage plus the span credits (equations 2-6).

Deviations from the official code, each off by default:
1. `importance_clip` weighs each token of a stale program by min(p / p_behaviour, clip), without gradient; the official
   code treats programs that are hundreds of updates old as fresh.
2. `weight_clip` bounds |w_t|: a term with a negative weight has no lower bound, since log p can fall for ever.
3. `kl` adds the k3 estimate of KL(policy || reference) to each token.
There is no critic: w_t is not multiplied by the probability a critic gives to the outcome.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.algorithms.objective import BatchLogprobs, Loss, Need
from rltf.algorithms.ratios import in_support, k3, log_ratio, masked_max, masked_mean
from rltf.algorithms.reductions import find_reduction
from rltf.types import RolloutBatch
from rltf.validation import require


@dataclass(frozen=True)
class Reinforce:
    """Policy gradient on judged programs."""

    reduction: str = "sequence_sum"
    """`sequence_sum` (paper), `token_mean` (official code) or `sequence_mean`."""
    importance_clip: float | None = None
    """Upper bound of the importance weight of a token; None: no importance weights (paper)."""
    weight_clip: float | None = None
    """Bound of |w_t|; None: none."""
    kl: float = 0.0
    """Weight of the divergence from the frozen reference; 0: no reference is kept."""

    def __post_init__(self) -> None:
        find_reduction(self.reduction)
        require("importance_clip", self.importance_clip, above=0, optional=True)
        require("weight_clip", self.weight_clip, above=0, optional=True)
        require("kl", self.kl, at_least=0)

    @property
    def needs(self) -> frozenset[Need]:
        """The frozen reference, when the loss has a KL term."""
        return frozenset({"reference"} if self.kl > 0 else ())

    @property
    def reads_zero_weights(self) -> bool:
        """False without a KL term: then rows whose tokens all weigh 0 have no loss."""
        return self.kl > 0

    def count(self, batch: RolloutBatch) -> Tensor:
        """Number of tokens or sequences in the batch, by the reduction."""
        return find_reduction(self.reduction).count(batch.mask_BT)

    def __call__(self, scored: BatchLogprobs) -> Loss:
        """Policy-gradient loss. Metrics: `ratio_mean`, `ratio_max` of present to behaviour probability,
        `truncated_share` of tokens whose importance weight was cut, `outside_support_share` of tokens that the present
        policy can no longer draw (they get no gradient), `kl`."""
        batch = scored.batch
        in_support_BT = in_support(scored.logprobs_BT, batch)
        logprobs_BT = scored.logprobs_BT.masked_fill(~in_support_BT, 0.0)
        ratio_BT = torch.exp(log_ratio(logprobs_BT.detach(), batch.old_logprobs_BT.masked_fill(~in_support_BT, 0.0)))

        weight_BT = batch.weight_BT
        if self.weight_clip is not None:
            weight_BT = weight_BT.clamp(-self.weight_clip, self.weight_clip)
        if self.importance_clip is not None:
            weight_BT = weight_BT * ratio_BT.clamp(max=self.importance_clip)
        terms_BT = -weight_BT * logprobs_BT
        metrics = {
            "ratio_mean": masked_mean(ratio_BT, in_support_BT),
            "ratio_max": masked_max(ratio_BT, in_support_BT),
            "outside_support_share": masked_mean(~in_support_BT, batch.mask_BT),
        }
        if self.importance_clip is not None:
            metrics["truncated_share"] = masked_mean(ratio_BT > self.importance_clip, in_support_BT)
        if self.kl:
            assert scored.reference is not None, "an objective that needs a reference was called without one"
            kl_BT = k3(logprobs_BT, scored.reference.logprobs_BT.masked_fill(~in_support_BT, 0.0))
            terms_BT = terms_BT + self.kl * kl_BT
            metrics["kl"] = masked_mean(kl_BT, in_support_BT)
        total = find_reduction(self.reduction).total(terms_BT, batch.mask_BT)
        return Loss(total=total, count=self.count(batch), metrics=metrics)
