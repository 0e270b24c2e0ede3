"""What tokens pay for leaving a frozen policy behind: PPO's penalty, with a fixed or an adaptive weight.

    cost of a token = beta (log p_behaviour - log p_reference)                        (taken from its reward)
    after a harvest of n programs: beta *= 1 + clip(KL / target - 1, -0.2, 0.2) n / horizon     (arXiv 1909.08593)

KL is the mean over sampled programs of the sum over their tokens, of all processes. A token that the reference cannot
draw under the sampling distribution (top-p and the like) has no finite ratio and pays nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from rltf.algorithms.ratios import k1
from rltf.policies.base import Policy
from rltf.rollouts.batch import collate
from rltf.training.ranks import all_gather
from rltf.types import Rollout, Sampling
from rltf.validation import OptionError, require

ROWS = 64
"""Programs read together."""


class KlPenalty:
    """The divergence from the policy that RL began with, as a cost of tokens.

    Args:
        beta: weight of the divergence, at first.
        target: nats a program that the weight is steered to; None: the weight stays.
        horizon: programs in which the weight can change by a factor of about e^0.2.
    """

    def __init__(self, beta: float, target: float | None = None, horizon: int = 10_000) -> None:
        if not beta > 0:
            raise OptionError("beta", beta, "a number above 0 (penalty=null drops it)")
        require("target", target, above=0, optional=True)
        require("horizon", horizon, at_least=1, whole=True)
        self.beta, self.target, self.horizon = beta, target, horizon
        self._reference: Policy | None = None
        self._sampling: Sampling | None = None
        self._seen: list[float] = []
        """Nats of each sampled program since the last `adapt`."""

    def start(self, reference: Policy, sampling: Sampling) -> None:
        """RL begins or goes on; programs are drawn from `sampling`."""
        self._reference, self._sampling = reference, sampling

    def __call__(self, rollouts: Sequence[Rollout]) -> list[list[float]]:
        """What each drawn token pays."""
        gaps = [gap for start in range(0, len(rollouts), ROWS) for gap in self._gaps(rollouts[start : start + ROWS])]
        self._seen += [math.fsum(gap) for r, gap in zip(rollouts, gaps, strict=True) if not r.program.greedy]
        return [[self.beta * value for value in gap] for gap in gaps]

    def adapt(self) -> dict[str, float]:
        """Moves the weight by what was seen since the last time; all processes together."""
        seen = [nats for part in all_gather(self._seen) for nats in part]
        self._seen = []
        if not seen:
            return {}
        kl = math.fsum(seen) / len(seen)
        found = {"kl": kl, "kl_weight": self.beta}
        if self.target is not None:
            self.beta *= 1 + max(-0.2, min(0.2, kl / self.target - 1)) * len(seen) / self.horizon
        return found

    def _gaps(self, rollouts: Sequence[Rollout]) -> list[list[float]]:
        policy = self._reference
        assert policy is not None, "start comes before the first harvest"
        device = next(policy.parameters()).device
        batch = collate([replace(r, weights=()) for r in rollouts], policy.pad_id, policy.prompt_padding).to(device)
        with torch.no_grad():
            reference_BT = policy.token_logprobs(
                batch.prompt_BS, batch.prompt_mask_BS, batch.response_BT, batch.read_BT, self._sampling, entropy=False
            )[0]
        kl_BT = k1(batch.old_logprobs_BT, reference_BT)[0].cpu()
        mask_BT = batch.mask_BT.cpu()
        return [kl_T[mask_T].tolist() for kl_T, mask_T in zip(kl_BT, mask_BT, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """The weight; the same on all processes."""
        return {"beta": self.beta}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        self.beta = state["beta"]
