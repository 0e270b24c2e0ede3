"""What a program's reward is compared with: one baseline a class, found by name in `BASELINES`.

A visit is one problem's programs of one iteration: sampled ones, and the greedy one when it was drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class GroupRewards:
    """Rewards of one visit of a problem."""

    problem_id: str
    sampled: tuple[float, ...]
    """Rewards of the sampled programs, in order."""
    greedy: float | None = None
    """Reward of the greedy program, if drawn."""


class Baseline(Protocol):
    """Gives each program of a visit the reward it is compared with."""

    needs_greedy: bool
    """True when the greedy program must be drawn at every visit."""

    def __call__(self, visit: GroupRewards) -> Sequence[float]:
        """One value for each of `visit.sampled`, then one for the greedy program if there is one."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Plain builtins."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        ...


class Stateless:
    """A baseline that looks at the present visit alone."""

    needs_greedy = False

    def state_dict(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Nothing to restore."""


class Zero(Stateless):
    """Plain REINFORCE: the reward itself is the advantage."""

    def __call__(self, visit: GroupRewards) -> list[float]:
        """Zeros."""
        return [0.0] * _programs(visit)


class GroupMean(Stateless):
    """Mean reward of the sampled programs (GRPO)."""

    def __call__(self, visit: GroupRewards) -> list[float]:
        """The mean, for all."""
        return [_group_mean(visit)] * _programs(visit)


class LeaveOneOut(Stateless):
    """For each sampled program the mean of the others, so that a program does not compete with itself (RLOO)."""

    def __call__(self, visit: GroupRewards) -> list[float]:
        """Means of the others; the greedy program, which is in no mean, meets the mean of all sampled ones."""
        if len(visit.sampled) < 2:
            raise ValueError(
                f"algorithm.advantages.baseline is leave_one_out with {len(visit.sampled)} sampled program of problem "
                f"{visit.problem_id}, expected at least 2 programs a problem"
            )
        others = [mean(visit.sampled[:i] + visit.sampled[i + 1 :]) for i in range(len(visit.sampled))]
        return others if visit.greedy is None else [*others, _group_mean(visit)]


class GreedyLatest(Stateless):
    """Reward of this visit's greedy program (RLTF's official code, without its race between visits)."""

    needs_greedy = True

    def __call__(self, visit: GroupRewards) -> list[float]:
        """The greedy program's reward, for all."""
        if visit.greedy is None:
            raise ValueError(
                f"algorithm.advantages.baseline is greedy_latest but problem {visit.problem_id} came without its "
                "greedy program, expected it to be drawn at every visit"
            )
        return [visit.greedy] * _programs(visit)


class BestSoFar:
    """Best reward that any earlier program of the problem earned: the model is asked to beat its own history (RLTF,
    W_b of equations 3 and 5). At the first visit the greedy program stands in, or else the group's mean."""

    needs_greedy = True

    def __init__(self) -> None:
        self._best: dict[str, float] = {}

    def __call__(self, visit: GroupRewards) -> list[float]:
        """The best before this visit, for all; then this visit joins the history."""
        before = self._best.get(visit.problem_id)
        first = _group_mean(visit) if visit.greedy is None else visit.greedy
        baseline = first if before is None else before
        seen = [*visit.sampled, *(r for r in (visit.greedy, before) if r is not None)]
        self._best[visit.problem_id] = max(seen)
        return [baseline] * _programs(visit)

    def state_dict(self) -> dict[str, Any]:
        """`best`: problem id -> best reward."""
        return {"best": dict(self._best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replaces the history."""
        self._best = {str(problem): float(reward) for problem, reward in state["best"].items()}


BASELINES: dict[str, Callable[[], Baseline]] = {
    "best_so_far": BestSoFar,
    "greedy_latest": GreedyLatest,
    "group_mean": GroupMean,
    "leave_one_out": LeaveOneOut,
    "none": Zero,
}


def _programs(visit: GroupRewards) -> int:
    return len(visit.sampled) + (visit.greedy is not None)


def _group_mean(visit: GroupRewards) -> float:
    # statistics.mean is exact: equal rewards have advantage 0, not 1e-17. A visit with the greedy program alone has no
    # group, so that program is compared with itself.
    if visit.sampled:
        return mean(visit.sampled)
    return visit.greedy or 0.0
