"""Weights of tokens by an outcome critic's probabilities: CodeRL's (arXiv 2207.01780), and as RLTF's official code has
it. q_t is the critic's probability of the program's own outcome once token t is read.

    weight of a token = q_t * (advantage + span credits)        spans=weighed (official code, `fine_grained_type` 1)
    weight of a token = q_t * advantage + span credits          spans=plain (`fine_grained_type` 0)

RLTF's paper has no critic: that is credit=none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rltf.algorithms.advantages import token_weights
from rltf.types import Rollout
from rltf.validation import require

SPANS = ("weighed", "plain")


@dataclass(frozen=True)
class CriticTokenCredit:
    """Weights multiplied by an outcome critic's probability at each token.

    Args:
        spans: `weighed`: span credits are multiplied, too; `plain`: only the advantage is.
    """

    spans: str = "weighed"

    def __post_init__(self) -> None:
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
    def critic_kind(self) -> Literal["outcome"]:
        """It reads an outcome critic."""
        return "outcome"

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts, all with new `weights`."""
        return [replace(rollout, weights=self._weights(rollout)) for rollout in rollouts]

    def _weights(self, rollout: Rollout) -> tuple[float, ...]:
        assert rollout.critic is not None, "the critic reads rollouts before credit does"
        pairs = zip(rollout.critic.tokens, token_weights(rollout), strict=True)
        if self.spans == "weighed":
            return tuple(q * weight for q, weight in pairs)
        return tuple(weight - (1 - q) * rollout.advantage for q, weight in pairs)
