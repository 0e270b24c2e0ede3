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
    """Weighs each token by its advantage, and says what the critic should have said.

    Args:
        gamma: discount of a token.
        lam: lambda; 1: the return less the value, 0: one step ahead.
        whiten: advantages of a harvest's sampled programs get mean 0 and variance 1, all tokens alike.
        spans: `advantage` or `reward`.
        penalty: what each token pays, e.g. for its divergence from a frozen policy; None: nothing.
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
        """Never."""
        return False

    @property
    def critic_kind(self) -> Literal["value"]:
        """What a program was expected to earn."""
        return "value"

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """Every rollout gets `weights`, and its critic's `returns`."""
        penalties = self.penalty(rollouts) if self.penalty else [[0.0] * len(r.program.token_ids) for r in rollouts]
        found = [self._advantages(r, paid) for r, paid in zip(rollouts, penalties, strict=True)]
        sampled = [a for r, row in zip(rollouts, found, strict=True) if not r.program.greedy for a in row]
        mean, spread = (fmean(sampled), max(pstdev(sampled), LEAST_SPREAD)) if self.whiten and sampled else (0.0, 1.0)
        return [
            self._rollout(r, row, [(a - mean) / spread for a in row]) for r, row in zip(rollouts, found, strict=True)
        ]

    def _advantages(self, rollout: Rollout, paid: Sequence[float]) -> list[float]:
        assert rollout.critic is not None, "a critic reads a harvest before credit does"
        rewards = [-cost for cost in paid]
        if rewards:
            rewards[-1] += rollout.reward
        if self.spans == "reward":
            for credit in rollout.credits:
                if credit.span is not None and credit.span[0] < credit.span[1]:
                    rewards[credit.span[1] - 1] += credit.value
        return gae(rewards, rollout.critic.tokens, self.gamma, self.lam)

    def _rollout(self, rollout: Rollout, advantages: Sequence[float], weights: list[float]) -> Rollout:
        assert rollout.critic is not None
        returns = tuple(a + v for a, v in zip(advantages, rollout.critic.tokens, strict=True))
        if self.spans == "advantage":
            for credit in rollout.credits:
                if credit.span is not None:
                    for t in range(*credit.span):
                        weights[t] += credit.value
        return replace(rollout, weights=tuple(weights), critic=replace(rollout.critic, returns=returns))


def gae(rewards: Sequence[float], values: Sequence[float], gamma: float, lam: float) -> list[float]:
    """Advantages of one episode, which ends behind its last token.

    Example:
        >>> [round(a, 5) for a in gae([0, 0, 1], [0.5, 0.5, 0.5], gamma=1, lam=0.95)]
        [0.45125, 0.475, 0.5]
    """
    advantages, following, value_after = [], 0.0, 0.0
    for reward, value in zip(reversed(rewards), reversed(values), strict=True):
        following = reward + gamma * value_after - value + gamma * lam * following
        advantages.append(following)
        value_after = value
    return advantages[::-1]
