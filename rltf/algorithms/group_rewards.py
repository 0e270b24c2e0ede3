"""Rewards of one group, and the protocol of what they are compared with.

A group is one problem's programs of one iteration: the sampled ones, and the greedy one if it was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class GroupRewards:
    """Rewards of one group."""

    problem_id: str
    """Key of the group's problem in a history."""
    sampled: tuple[float, ...]
    """Rewards of the sampled programs, in order."""
    greedy: float | None = None
    """Reward of the greedy program, if drawn."""
    incomplete: bool = False
    """Programs of the group could not be judged and are left out."""


class Baseline(Protocol):
    """Computes the reward that each program of a group is compared with."""

    needs_greedy: bool
    """True when every group needs its greedy program."""
    least_samples: int
    """Sampled programs of a problem below which it compares nothing."""

    def __call__(self, group: GroupRewards) -> Sequence[float]:
        """One baseline for each of `group.sampled`, then one for the greedy program if there is one."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        ...


class StatelessBaseline:
    """A baseline computed from the present group alone."""

    needs_greedy = False
    least_samples = 1

    def state_dict(self) -> dict[str, Any]:
        """An empty state."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """No effect: there is no state."""
