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

from rltf.algorithms.grpo import GRPO
from rltf.algorithms.ratios import log_ratio


@dataclass(frozen=True)
class GSPO(GRPO):
    """GRPO's clipped surrogate with the ratio of a whole program in the place of each token's own. Metrics are those of
    `GRPO`, of programs, over their tokens."""

    eps_low: float = 3e-4
    """With a negative weight, no gradient at ratios below 1 - eps_low."""
    eps_high: float = 4e-4
    """With a positive weight, no gradient at ratios above 1 + eps_high."""

    def _ratio(self, logprobs_BT: Tensor, old_BT: Tensor, in_support_BT: Tensor) -> Tensor:
        """The geometric mean of a program's ratios, whose gradient is that of each token."""
        length_B1 = in_support_BT.sum(dim=1, keepdim=True).clamp(min=1)
        mean_B1 = log_ratio(logprobs_BT.detach(), old_BT).sum(dim=1, keepdim=True) / length_B1
        return torch.exp(mean_B1 + logprobs_BT - logprobs_BT.detach())
