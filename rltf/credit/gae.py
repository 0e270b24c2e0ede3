"""Advantages of single tokens from a critic of returns: generalised advantage estimation (arXiv 1506.02438).

    delta_t = r_t + gamma V(s_t+1) - V(s_t)      A_t = delta_t + gamma lambda A_t+1      return_t = A_t + V(s_t)

V is 0 behind the last token, where the program's reward comes, also for a program that was cut. The critic takes the
baseline's place: `algorithm.advantages` is not read.

How span credits enter is a choice: as `advantage` of their tokens, on top of A_t (as with group objectives, where they
follow normalisation), or as `reward` at the last token of the span (dense rewards of lines: arXiv 2410.17621).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Literal

from rltf.types import Rollout
from rltf.validation import require

SPANS = ("advantage", "reward")
LEAST_SPREAD = 1e-8


@dataclass(frozen=True)
class GAECredit:
    """Each token's weight is its advantage; the critic's targets (`CriticPrediction.returns`) are set with it.

    Args:
        gamma: discount per token.
        lam: lambda of the estimator; 1: return minus value, 0: one-step temporal difference.
        whiten: True: advantages of an iteration's sampled programs are shifted and scaled to mean 0 and variance 1 over
            all their tokens.
        spans: span credits are added to the `advantage` of their tokens, or to the `reward` at their last token.
        penalty: cost of each token, subtracted from its reward, e.g. for divergence from a frozen policy; None: 0.
    """

    gamma: float = 1.0
    lam: float = 0.95
    whiten: bool = True
    spans: str = "advantage"
    penalty: Callable[[Sequence[Rollout]], list[list[float]]] | None = None

    def __post_init__(self) -> None:
        require("gamma", self.gamma, at_least=0, at_most=1)
        require("lam", self.lam, at_least=0, at_most=1)
        require("spans", self.spans, choices=SPANS)

    @property
    def needs_coverage(self) -> bool:
        """False: it reads no coverage."""
        return False

    @property
    def needs_reference(self) -> bool:
        """False: nothing is compared with a reference program."""
        return False

    @property
    def critic_kind(self) -> Literal["value"]:
        """It reads a value critic."""
        return "value"

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts, all with new `weights` and their critic's `returns`."""
        costs = self.penalty(rollouts) if self.penalty else [[0.0] * len(r.program.token_ids) for r in rollouts]
        advantages = [self._advantages(r, costs_T) for r, costs_T in zip(rollouts, costs, strict=True)]
        sampled = [a for r, row in zip(rollouts, advantages, strict=True) if not r.program.greedy for a in row]
        mean, spread = (fmean(sampled), max(pstdev(sampled), LEAST_SPREAD)) if self.whiten and sampled else (0.0, 1.0)
        return [
            self._weighted_rollout(r, row, [(a - mean) / spread for a in row])
            for r, row in zip(rollouts, advantages, strict=True)
        ]

    def _advantages(self, rollout: Rollout, costs_T: Sequence[float]) -> list[float]:
        assert rollout.critic is not None, "the critic reads rollouts before credit does"
        rewards = [-cost for cost in costs_T]
        if rewards:
            rewards[-1] += rollout.reward
        if self.spans == "reward":
            for credit in rollout.credits:
                if credit.span is not None and credit.span[0] < credit.span[1]:
                    rewards[credit.span[1] - 1] += credit.value
        return gae(rewards, rollout.critic.tokens, self.gamma, self.lam)

    def _weighted_rollout(self, rollout: Rollout, advantages: Sequence[float], weights: list[float]) -> Rollout:
        assert rollout.critic is not None
        returns = tuple(a + v for a, v in zip(advantages, rollout.critic.tokens, strict=True))
        if self.spans == "advantage":
            for credit in rollout.credits:
                if credit.span is not None:
                    for t in range(*credit.span):
                        weights[t] += credit.value
        return replace(rollout, weights=tuple(weights), critic=replace(rollout.critic, returns=returns))


def gae(rewards: Sequence[float], values: Sequence[float], gamma: float, lam: float) -> list[float]:
    """Advantage of each token of one episode, which ends behind its last token.

    Example:
        >>> [round(a, 5) for a in gae([0, 0, 1], [0.5, 0.5, 0.5], gamma=1, lam=0.95)]
        [0.45125, 0.475, 0.5]
    """
    advantages, advantage, next_value = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards), reversed(values), strict=True):
        advantage = reward + gamma * next_value - value + gamma * lam * advantage
        advantages.append(advantage)
        next_value = value
    return advantages[::-1]
