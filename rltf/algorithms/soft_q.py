"""Soft Q-learning by path consistency (arXiv 2106.07704): logits are soft Q-values, so pi = exp(Q - V) with V their
log-sum-exp, and the loss squares what keeps them from being optimal. It holds on any program, whoever drew it.

    A_t = log pi(a_t|s_t) - log pi0(a_t|s_t)      V_t = lse Q(s_t) - lse Q0(s_t)      V = 0 behind the last token
    single_t  = ( A_t - [r_t + V'_t+1 - V'_t] )^2
    multi_t   = ( sum_l>=t A_l - [sum_l>=t r_l - V'_t] )^2
    reversed  = single_t + multi_t with A' for A and V for V'          (': the target, without gradient)
    L = (1/N) sum_i sum_t (1 - c) (single_t + multi_t) / 2 + c (reversed) / 2          c: `reverse`

Rewards r are in nats: `algorithm.credit` scales them and puts them at tokens (`rltf.credit.at_end`). The optimum is
pi* = pi0 exp(sum r) / Z: a bad program is pushed to a finite log-ratio, sum r - V, and no further, where REINFORCE on
programs of a frozen policy pushes for ever.

How it deviates from the paper and its code (HanGuo97/soft-Q-learning-for-text-generation):
1. pi0 is the policy that RL starts from (`prior=start`). The paper's is uniform (`prior=none`: A = log pi, V = lse Q),
   whose optimum spreads over all strings of tokens: 17 tokens of 640 are 110 nats, which rewards must outweigh. V is
   the log of the mean of exp(Q - Q0) under pi0, so with it the same consistency holds exactly.
2. `reverse` is 0.5; 0 is the default of the code. Without it the loss sees logits through log pi alone, which does not
   change with the level of V: nothing teaches V', and the optimum is missed (total variation 0.23 and 0.37 in a world
   of two steps, `tests/algorithms/test_soft_q.py`; below 0.001 with it).
3. A reward of 1 is 1 nat, in the place of the code's ends of -50 and 50, and the target moves by 0.01 a step in the
   place of 0.001: runs here have a hundred to a few thousand steps. With 10 nats 90 steps push bad programs
   down and end before values are learned (docs/results/soft_q.md).
4. The code mixes demonstrations into the data and warms up on them; here they may be a supervised term beside.
5. A program that the length limit cut ends there, with V = 0 behind it.

As in the code, squares have no factor 1/2, gamma is 1 and the sum runs over tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from rltf.algorithms.objective import BatchLogprobs, Loss, Need, TokenScores
from rltf.algorithms.ratios import masked_mean
from rltf.algorithms.reductions import find_reduction
from rltf.types import RolloutBatch
from rltf.validation import require

Paths = Literal["both", "single", "multi"]
Prior = Literal["start", "none"]


@dataclass(frozen=True)
class SoftQ:
    """Squared violations of path consistency, of one step and of all steps to the end."""

    paths: Paths = "both"
    """`both`, `single` (one step) or `multi` (all steps to the end)."""
    reverse: float = 0.5
    """Weight c of the part that teaches values by the target's log-probs, between 0 and 1; 0: the official code."""
    prior: Prior = "start"
    """`start`: the policy that RL starts from; `none`: uniform, without weight (paper)."""
    residual_clip: float | None = None
    """Residual in nats beyond which it weighs linearly and no longer squared (Huber); None: all are squared."""
    reduction: str = "sequence_sum"
    """`sequence_sum` (code), `token_mean` or `sequence_mean`."""

    def __post_init__(self) -> None:
        require("paths", self.paths, choices=get_args(Paths))
        require("reverse", self.reverse, at_least=0, at_most=1)
        require("prior", self.prior, choices=get_args(Prior))
        require("residual_clip", self.residual_clip, above=0, optional=True)
        find_reduction(self.reduction)

    @property
    def own_distribution(self) -> bool:
        """True: Q-values are the policy's own logits, whatever distribution programs were drawn from."""
        return True

    @property
    def reads_rewards(self) -> bool:
        """True: weights of tokens are rewards, not advantages."""
        return True

    @property
    def needs(self) -> frozenset[Need]:
        """Values and the target; the frozen start as prior."""
        return frozenset({"values", "target", *(("reference",) if self.prior == "start" else ())})

    def count(self, batch: RolloutBatch) -> Tensor:
        """Number of tokens or sequences in the batch, by the reduction."""
        return find_reduction(self.reduction).count(batch.mask_BT)

    def __call__(self, scored: BatchLogprobs) -> Loss:
        """Path-consistency loss. Metrics, in nats: `residual_single` and `residual_multi`, means of |residual|;
        `value_mean` of V and `return_mean` of the reward still to come, which a learned level of V is near;
        `log_ratio_mean` of A."""
        batch, prior = scored.batch, scored.reference if self.prior == "start" else None
        assert scored.target is not None, "soft Q-learning was called without a target"
        assert prior is not None or self.prior == "none", "soft Q-learning was called without its prior"
        mask_BT = batch.mask_BT
        reward_BT = batch.weight_BT.masked_fill(~mask_BT, 0.0)
        ratio_BT, value_BT = _against(TokenScores(scored.logprobs_BT, scored.values_BT), prior, mask_BT)
        target_ratio_BT, target_value_BT = _against(scored.target, prior, mask_BT)
        single_BT, multi_BT = residuals(ratio_BT, target_value_BT, reward_BT)
        parts = [(1.0 - self.reverse, self._squares(single_BT, multi_BT))]
        if self.reverse:
            parts.append((self.reverse, self._squares(*residuals(target_ratio_BT, value_BT, reward_BT))))
        terms_BT = torch.stack([weight * squares_BT for weight, squares_BT in parts]).sum(0)
        metrics = {
            "residual_single": masked_mean(single_BT.abs(), mask_BT),
            "residual_multi": masked_mean(multi_BT.abs(), mask_BT),
            "value_mean": masked_mean(value_BT, mask_BT),
            "return_mean": masked_mean(to_come(reward_BT), mask_BT),
            "log_ratio_mean": masked_mean(ratio_BT, mask_BT),
        }
        return Loss(find_reduction(self.reduction).total(terms_BT, mask_BT), self.count(batch), metrics)

    def _squares(self, single_BT: Tensor, multi_BT: Tensor) -> Tensor:
        """Loss of each token: the mean over the chosen paths."""
        residuals = {"both": (single_BT, multi_BT), "single": (single_BT,), "multi": (multi_BT,)}[self.paths]
        return torch.stack([self._square(residual_BT) for residual_BT in residuals]).mean(0)

    def _square(self, residual_BT: Tensor) -> Tensor:
        limit = self.residual_clip
        if limit is None:
            return residual_BT.square()
        zeros_BT = torch.zeros_like(residual_BT)
        return 2.0 * torch.nn.functional.huber_loss(residual_BT, zeros_BT, reduction="none", delta=limit)


def residuals(ratio_BT: Tensor, value_BT: Tensor, reward_BT: Tensor) -> tuple[Tensor, Tensor]:
    """(single_BT, multi_BT): what is missing to path consistency over one step and over all steps to the end, in nats.
    All arguments are 0 behind the last token; the sum of the first over the steps to come is the second.

    Args:
        ratio_BT: log-ratio A of each token.
        value_BT: V of the state that it was drawn from.
        reward_BT: reward that comes with it.

    Example:
        >>> single, multi = residuals(*torch.tensor([[[0.3, -0.1]], [[0.5, 0.2]], [[0.0, 1.0]]]))
        >>> [[round(x, 4) for x in row] for row in (*single.tolist(), *multi.tolist())]
        [[0.6, -0.9], [-0.3, -0.9]]
    """
    next_value_BT = torch.nn.functional.pad(value_BT[:, 1:], (0, 1))
    single_BT = ratio_BT - (reward_BT + next_value_BT - value_BT)
    return single_BT, to_come(ratio_BT) - (to_come(reward_BT) - value_BT)


def to_come(values_BT: Tensor) -> Tensor:
    """Sum over a token and all behind it."""
    return values_BT.flip(1).cumsum(1).flip(1)


def _against(scores: TokenScores, prior: TokenScores | None, mask_BT: Tensor) -> tuple[Tensor, Tensor]:
    """Log-ratio A and value V of drawn tokens against the prior, 0 elsewhere."""
    ratio_BT, value_BT = scores.logprobs_BT, scores.values_BT
    assert value_BT is not None, "soft Q-learning was called without values"
    if prior is not None:
        assert prior.values_BT is not None, "soft Q-learning was called without values"
        ratio_BT, value_BT = ratio_BT - prior.logprobs_BT, value_BT - prior.values_BT
    return ratio_BT.masked_fill(~mask_BT, 0.0), value_BT.masked_fill(~mask_BT, 0.0)
