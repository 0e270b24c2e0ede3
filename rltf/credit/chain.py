"""Several token credits in sequence: each starts from the weights that the one before it set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from rltf.rollouts.interfaces import TokenCredit
from rltf.types import Rollout

CriticKind = Literal["outcome", "value"]


class CreditChain:
    """A token credit made of several (`rltf.rollouts.interfaces.TokenCredit`).

    Args:
        steps: the credits in the order in which they are applied.

    Raises:
        ValueError: two of them read different kinds of critics.
    """

    def __init__(self, steps: Sequence[TokenCredit]) -> None:
        self.steps = list(steps)
        self._critic_kind = single_kind(step.critic_kind for step in self.steps)

    @property
    def needs_coverage(self) -> bool:
        """True when one of the steps reads coverage."""
        return any(step.needs_coverage for step in self.steps)

    @property
    def needs_reference(self) -> bool:
        """True when one of the steps reads where programs part from a reference."""
        return any(step.needs_reference for step in self.steps)

    @property
    def critic_kind(self) -> CriticKind | None:
        """Kind of critic that the steps read."""
        return self._critic_kind

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts with the weights of the last step."""
        weighted = list(rollouts)
        for step in self.steps:
            weighted = step(weighted)
        return weighted


def single_kind(kinds: Iterable[CriticKind | None]) -> CriticKind | None:
    """The kind of critic that several credits read; None when they read none.

    Raises:
        ValueError: they read different kinds.
    """
    read_kinds = {kind for kind in kinds if kind is not None}
    if len(read_kinds) > 1:
        raise ValueError(
            "credit reads an outcome critic and a value critic and a run has one critic: leave out "
            "credit=critic_token or what reads values (algorithm=ppo, credit=gae)"
        )
    return read_kinds.pop() if read_kinds else None
