"""Rewards of single tokens for objectives that learn from rewards and not from advantages: `algorithm=soft_q`.

    r_t = scale (reward of the program) at its last token, 0 before; scale (value of a span) at the span's last token

Nothing is compared: `algorithm.advantages` is not read. The unit is the nat where pi* = pi0 exp(sum r) / Z: a program
that earns 1 more than another becomes e^scale times as likely.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rltf.types import Rollout
from rltf.validation import OptionError, require

log = logging.getLogger(__name__)

LARGE_REWARD = 50.0
"""Nats; the ends of the official code's rewards. exp(88) is the end of float32."""


@dataclass(frozen=True)
class RewardAtEnd:
    """Each token's weight is the reward that comes with it.

    Args:
        scale: nats for a reward of 1.
        low: least reward of a token, once scaled, in nats; None: no bound.
        high: most reward of a token, once scaled, in nats; None: no bound.

    Raises:
        OptionError: `scale` is not above 0, or `low` not below `high`.
    """

    scale: float = 1.0
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        require("scale", self.scale, above=0)
        require("low", self.low, optional=True)
        require("high", self.high, optional=True)
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise OptionError("low", self.low, f"a number below high, which is {self.high}")

    @property
    def gives_rewards(self) -> bool:
        """True: weights are rewards, not advantages."""
        return True

    @property
    def needs_coverage(self) -> bool:
        """False: it does not matter which lines the tests executed."""
        return False

    @property
    def needs_reference(self) -> bool:
        """False: nothing is compared with a reference program."""
        return False

    @property
    def critic_kind(self) -> None:
        """None: it reads no critic."""

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts with new `weights`; warns of rewards beyond `LARGE_REWARD`."""
        weighed = [self._weigh(rollout) for rollout in rollouts]
        largest = max((abs(weight) for rollout in weighed for weight in rollout.weights), default=0.0)
        if largest > LARGE_REWARD:
            log.warning(
                "a reward of %.0f nats is more than soft Q-learning can follow (%.0f): set a lower "
                "algorithm.credit.scale, or bounds in algorithm.credit.low and high",
                largest,
                LARGE_REWARD,
            )
        return weighed

    def _weigh(self, rollout: Rollout) -> Rollout:
        rewards = [0.0] * len(rollout.program.token_ids)
        if rewards:
            rewards[-1] += rollout.reward
        for credit in rollout.credits:
            if credit.span is not None and credit.span[0] < credit.span[1]:
                rewards[credit.span[1] - 1] += credit.value
        return replace(rollout, weights=tuple(self._in_nats(reward) for reward in rewards))

    def _in_nats(self, reward: float) -> float:
        nats = self.scale * reward
        nats = nats if self.low is None else max(nats, self.low)
        return nats if self.high is None else min(nats, self.high)
