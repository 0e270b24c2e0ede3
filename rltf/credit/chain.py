"""Several token credits in sequence: each starts from the weights that the one before it set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rltf.rollouts.interfaces import TokenCredit
from rltf.types import Rollout


class CreditChain:
    """A token credit made of several (`rltf.rollouts.interfaces.TokenCredit`).

    Args:
        steps: the credits in the order in which they are applied.

    Raises:
        ValueError: two of them read different kinds of critics.
    """

    def __init__(self, steps: Sequence[TokenCredit]) -> None:
        self.steps = list(steps)
        kinds = {step.critic_kind for step in self.steps} - {None}
        if len(kinds) > 1:
            raise ValueError(
                "credit reads an outcome critic and a value critic and a run has one critic: leave out "
                "credit=critic_token or what reads values (algorithm=ppo, credit=gae)"
            )
        self._critic_kind = kinds.pop() if kinds else None

    @property
    def needs_coverage(self) -> bool:
        """True when one of the steps reads coverage."""
        return any(step.needs_coverage for step in self.steps)

    @property
    def critic_kind(self) -> Literal["outcome", "value"] | None:
        """Kind of critic that the steps read."""
        return self._critic_kind

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts with the weights of the last step."""
        weighted = list(rollouts)
        for step in self.steps:
            weighted = step(weighted)
        return weighted
