"""Clipped policy gradient with one ratio a program: GSPO (arXiv 2507.18071).

    s_i   = exp(mean_t log(p_t / p_behaviour_t))           over the tokens of program i
    L     = -(1/G) sum_i (1/|o_i|) sum_t min(s_it A_it, clip(s_it, 1 - eps_low, 1 + eps_high) A_it)
    s_it  = sg(s_i) p_t / sg(p_t)                           sg: without gradient; its value is s_i

This is the paper's GSPO-token: equal to GSPO in value and gradient where all tokens of a program weigh alike, and open
to span credits and `credit=` where they do not. How it deviates from the paper:
1. A token that the present policy can no longer draw is part of no ratio, and has no gradient.
2. The clip looks at each token's own weight, so a blamed token of a good program is clipped at the other end.
3. `reduction` may be another than the paper's mean over the tokens of each program.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.algorithms.objective import Loss
from rltf.algorithms.ratios import in_support, k3, log_ratio, masked_max, masked_mean
from rltf.algorithms.reductions import find_reduction
from rltf.types import RolloutBatch
from rltf.validation import require


@dataclass(frozen=True)
class GSPO:
    """Clipped surrogate with ratios of whole programs to their behaviour log-probs."""

    eps_low: float = 3e-4
    """With a negative weight, no gradient at ratios below 1 - eps_low."""
    eps_high: float = 4e-4
    """With a positive weight, no gradient at ratios above 1 + eps_high."""
    kl: float = 0.0
    """Weight of the divergence from the frozen reference; 0: no reference is kept."""
    reduction: str = "sequence_mean"
    """`sequence_mean` (paper), `token_mean` or `sequence_sum`."""

    def __post_init__(self) -> None:
        find_reduction(self.reduction)
        require("eps_low", self.eps_low, at_least=0, at_most=1)
        require("eps_high", self.eps_high, at_least=0)
        require("kl", self.kl, at_least=0)

    @property
    def needs_reference(self) -> bool:
        """True when the loss has a KL term."""
        return self.kl > 0

    def count(self, batch: RolloutBatch) -> Tensor:
        """Number of tokens or sequences in the batch, by the reduction."""
        return find_reduction(self.reduction).count(batch.mask_BT)

    def __call__(self, logprobs_BT: Tensor, batch: RolloutBatch, reference_logprobs_BT: Tensor | None = None) -> Loss:
        """Clipped surrogate. Metrics: `ratio_mean` and `ratio_max` of programs, over their tokens, `clipped_share` of
        tokens whose gradient the clip removed, `outside_support_share`, `kl`."""
        in_support_BT = in_support(logprobs_BT, batch)
        logprobs_BT = logprobs_BT.masked_fill(~in_support_BT, 0.0)
        old_BT = batch.old_logprobs_BT.masked_fill(~in_support_BT, 0.0)

        length_B1 = in_support_BT.sum(dim=1, keepdim=True).clamp(min=1)
        mean_B1 = log_ratio(logprobs_BT.detach(), old_BT).sum(dim=1, keepdim=True) / length_B1
        ratio_BT = torch.exp(mean_B1 + logprobs_BT - logprobs_BT.detach())

        plain_BT = ratio_BT * batch.weight_BT
        bounded_BT = ratio_BT.clamp(1.0 - self.eps_low, 1.0 + self.eps_high) * batch.weight_BT
        terms_BT = -torch.minimum(plain_BT, bounded_BT)
        metrics = {
            "ratio_mean": masked_mean(ratio_BT, in_support_BT),
            "ratio_max": masked_max(ratio_BT, in_support_BT),
            "clipped_share": masked_mean(bounded_BT < plain_BT, in_support_BT),
            "outside_support_share": masked_mean(~in_support_BT, batch.mask_BT),
        }
        if self.kl:
            assert reference_logprobs_BT is not None, "an objective with needs_reference was called without one"
            kl_BT = k3(logprobs_BT, reference_logprobs_BT.masked_fill(~in_support_BT, 0.0))
            terms_BT = terms_BT + self.kl * kl_BT
            metrics["kl"] = masked_mean(kl_BT, in_support_BT)
        total = find_reduction(self.reduction).total(terms_BT.masked_fill(~in_support_BT, 0.0), batch.mask_BT)
        return Loss(total=total, count=self.count(batch), metrics=metrics)
