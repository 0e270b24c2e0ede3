"""Several credits, one after the other: each weighs what the one before it left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from rltf.rollouts.hooks import TokenCredit
from rltf.types import Rollout


class Chain:
    """Credit of single tokens in steps.

    Args:
        steps: in the order in which they weigh.

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
        self._reads = kinds.pop() if kinds else None

    @property
    def needs_coverage(self) -> bool:
        """True when one step does."""
        return any(step.needs_coverage for step in self.steps)

    @property
    def critic_kind(self) -> Literal["outcome", "value"] | None:
        """What one of the steps reads."""
        return self._reads

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The last step's rollouts."""
        weighed = list(rollouts)
        for step in self.steps:
            weighed = step(weighed)
        return weighed
