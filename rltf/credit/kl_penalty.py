"""Cost of tokens for divergence from a frozen policy: PPO's KL penalty, with a fixed or an adaptive weight.

    cost of a token = beta (log p_behaviour - log p_reference)                        (taken from its reward)
    after an iteration of n programs: beta *= 1 + clip(KL / target - 1, -0.2, 0.2) n / horizon     (arXiv 1909.08593)

KL is the mean over sampled programs of the sum over their tokens, of all processes. A token that the reference cannot
draw under the sampling distribution (top-p and the like) has no finite ratio and pays nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from rltf.algorithms.ratios import k1
from rltf.policies.base import Policy
from rltf.rollouts.collate import collate_programs
from rltf.training.ranks import all_gather
from rltf.types import Rollout, Sampling
from rltf.validation import OptionError, require

ROWS = 64
"""Programs in one forward pass."""


class KlPenalty:
    """Cost of each token by its divergence from the policy that RL started from.

    Args:
        beta: initial weight of the divergence.
        target: KL in nats per program that the weight is adapted to; None: the weight is constant.
        horizon: programs within which the weight can change by a factor of about e^0.2.
    """

    def __init__(self, beta: float, target: float | None = None, horizon: int = 10_000) -> None:
        if not beta > 0:
            raise OptionError("beta", beta, "a number above 0 (penalty=null drops it)")
        require("target", target, above=0, optional=True)
        require("horizon", horizon, at_least=1, whole=True)
        self.beta, self.target, self.horizon = beta, target, horizon
        self._reference: Policy | None = None
        self._sampling: Sampling | None = None
        self._divergences: list[float] = []
        """KL in nats of each sampled program since the last `adapt_beta`."""

    def set_reference(self, reference: Policy, sampling: Sampling) -> None:
        """Sets the frozen policy and the distribution that programs are drawn from, when RL starts or resumes."""
        self._reference, self._sampling = reference, sampling

    def __call__(self, rollouts: Sequence[Rollout]) -> list[list[float]]:
        """Cost of each drawn token, `beta` times its log-ratio."""
        starts = range(0, len(rollouts), ROWS)
        log_ratios = [row for start in starts for row in self._log_ratios(rollouts[start : start + ROWS])]
        pairs = zip(rollouts, log_ratios, strict=True)
        self._divergences += [math.fsum(row) for rollout, row in pairs if not rollout.program.greedy]
        return [[self.beta * log_ratio for log_ratio in row] for row in log_ratios]

    def adapt_beta(self) -> dict[str, float]:
        """Adapts the weight to the divergence of all processes' programs since the last call; returns the metrics `kl`
        and `kl_weight`, the weight before."""
        divergences = [nats for rank_divergences in all_gather(self._divergences) for nats in rank_divergences]
        self._divergences = []
        if not divergences:
            return {}
        kl = math.fsum(divergences) / len(divergences)
        metrics = {"kl": kl, "kl_weight": self.beta}
        if self.target is not None:
            self.beta *= 1 + max(-0.2, min(0.2, kl / self.target - 1)) * len(divergences) / self.horizon
        return metrics

    def _log_ratios(self, rollouts: Sequence[Rollout]) -> list[list[float]]:
        policy = self._reference
        assert policy is not None, "set_reference comes before the first rollouts"
        device = next(policy.parameters()).device
        batch = collate_programs([r.program for r in rollouts], policy.pad_id, policy.prompt_padding).to(device)
        with torch.no_grad():
            reference_BT = policy.token_logprobs(
                batch.prompt_BS,
                batch.prompt_mask_BS,
                batch.response_BT,
                batch.response_mask_BT,
                self._sampling,
                entropy=False,
            )[0]
        kl_BT = k1(batch.old_logprobs_BT, reference_BT)[0].cpu()
        mask_BT = batch.mask_BT.cpu()
        return [kl_T[mask_T].tolist() for kl_T, mask_T in zip(kl_BT, mask_BT, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: the weight, the same on all processes."""
        return {"beta": self.beta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self.beta = state["beta"]
