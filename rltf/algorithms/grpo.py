"""Clipped-ratio policy gradient of GRPO and its relatives.

    L = -(1/G) sum_i (1/|o_i|) sum_t min(rho A, clip(rho, 1 - eps_low, 1 + eps_high) A) + kl * k3
    rho = p / p_behaviour of one token

`rltf.algorithms.advantages` normalises A by group and adds span credits: A_t = A + span credits of token t. With
`reduction=sequence_sum` and advantages that are not divided by their spread this is Dr. GRPO up to a constant; with
`token_mean` and `eps_high=0.28` it is DAPO's loss.
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
class GRPO:
    """Clipped surrogate with ratios to the behaviour log-probs stored in the batch."""

    eps_low: float = 0.2
    """With a negative advantage, no gradient at ratios below 1 - eps_low."""
    eps_high: float = 0.2
    """With a positive advantage, no gradient at ratios above 1 + eps_high."""
    kl: float = 0.0
    """Weight of the divergence from the frozen reference; 0: no reference is kept."""
    dual_clip: float | None = None
    """Bound c > 1 of the ratio where the advantage is negative; None: unbounded."""
    reduction: str = "sequence_mean"
    """`sequence_mean` (GRPO), `token_mean` (DAPO) or `sequence_sum` (Dr. GRPO)."""

    def __post_init__(self) -> None:
        find_reduction(self.reduction)
        require("eps_low", self.eps_low, at_least=0, at_most=1)
        require("eps_high", self.eps_high, at_least=0)
        require("kl", self.kl, at_least=0)
        require("dual_clip", self.dual_clip, above=1, optional=True)

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
        """Clipped surrogate. Metrics: `ratio_mean`, `ratio_max`, `clipped_share` of tokens whose gradient the clip
        removed, `outside_support_share`, `kl`."""
        batch = scored.batch
        in_support_BT = in_support(scored.logprobs_BT, batch)
        logprobs_BT = scored.logprobs_BT.masked_fill(~in_support_BT, 0.0)
        old_BT = batch.old_logprobs_BT.masked_fill(~in_support_BT, 0.0)
        ratio_BT = self._ratio(logprobs_BT, old_BT, in_support_BT)
        advantage_BT = batch.weight_BT

        plain_BT = ratio_BT * advantage_BT
        bounded_BT = ratio_BT.clamp(1.0 - self.eps_low, 1.0 + self.eps_high) * advantage_BT
        surrogate_BT = torch.minimum(plain_BT, bounded_BT)
        clipped_BT = bounded_BT < plain_BT
        if self.dual_clip is not None:
            floor_BT = self.dual_clip * advantage_BT
            clipped_BT = clipped_BT | ((advantage_BT < 0) & (surrogate_BT < floor_BT))
            surrogate_BT = torch.where(advantage_BT < 0, torch.maximum(surrogate_BT, floor_BT), surrogate_BT)
        terms_BT = -surrogate_BT
        metrics = {
            "ratio_mean": masked_mean(ratio_BT, in_support_BT),
            "ratio_max": masked_max(ratio_BT, in_support_BT),
            "clipped_share": masked_mean(clipped_BT, in_support_BT),
            "outside_support_share": masked_mean(~in_support_BT, batch.mask_BT),
        }
        if self.kl:
            assert scored.reference is not None, "an objective that needs a reference was called without one"
            kl_BT = k3(logprobs_BT, scored.reference.logprobs_BT.masked_fill(~in_support_BT, 0.0))
            terms_BT = terms_BT + self.kl * kl_BT
            metrics["kl"] = masked_mean(kl_BT, in_support_BT)
        total = find_reduction(self.reduction).total(terms_BT.masked_fill(~in_support_BT, 0.0), batch.mask_BT)
        return Loss(total=total, count=self.count(batch), metrics=metrics)

    def _ratio(self, logprobs_BT: Tensor, old_BT: Tensor, in_support_BT: Tensor) -> Tensor:
        """Of present to behaviour probability, token by token; both log-probs are 0 outside the support."""
        return torch.exp(log_ratio(logprobs_BT, old_BT))
