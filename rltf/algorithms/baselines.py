"""Baselines of rewards: one class each, selected by name from `BASELINES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import mean
from typing import Any

from rltf.algorithms.group_rewards import Baseline, GroupRewards, StatelessBaseline
from rltf.algorithms.max_of_k import MaxOfK


class ZeroBaseline(StatelessBaseline):
    """Baseline 0: the reward itself is the advantage (plain REINFORCE)."""

    def __call__(self, group: GroupRewards) -> list[float]:
        """0 for every program."""
        return [0.0] * _group_size(group)


class GroupMean(StatelessBaseline):
    """Mean reward of the sampled programs (GRPO): the reward itself where one is sampled."""

    least_samples = 2

    def __call__(self, group: GroupRewards) -> list[float]:
        """The mean, for every program."""
        return [_group_mean(group)] * _group_size(group)


class LeaveOneOut(StatelessBaseline):
    """Mean reward of the group's other sampled programs (RLOO), so that a reward is no part of its own baseline."""

    least_samples = 2

    def __call__(self, group: GroupRewards) -> list[float]:
        """The mean of the others for each sampled program; the mean of all sampled ones for the greedy program. One
        whose others could not be judged is compared with itself."""
        if len(group.sampled) < 2 and group.incomplete:
            return [_group_mean(group)] * _group_size(group)
        if len(group.sampled) < 2:
            raise ValueError(
                f"algorithm.advantages.baseline is leave_one_out with {len(group.sampled)} sampled program of problem "
                f"{group.problem_id}, expected at least 2 programs a problem"
            )
        means = [mean(group.sampled[:i] + group.sampled[i + 1 :]) for i in range(len(group.sampled))]
        return means if group.greedy is None else [*means, _group_mean(group)]


class GreedyLatest(StatelessBaseline):
    """Reward of the present greedy program (RLTF's official code, without its race between processes)."""

    needs_greedy = True

    def __call__(self, group: GroupRewards) -> list[float]:
        """The greedy program's reward, for every program; the group's mean where that program could not be judged."""
        if group.greedy is None and group.incomplete:
            return [_group_mean(group)] * _group_size(group)
        if group.greedy is None:
            raise ValueError(
                f"algorithm.advantages.baseline is greedy_latest but problem {group.problem_id} came without its "
                "greedy program, expected it to be drawn every time"
            )
        return [group.greedy] * _group_size(group)


class BestSoFar:
    """Best reward that any earlier program of the problem earned (RLTF, W_b of equations 3 and 5). In a problem's first
    group: the greedy program's reward, or without one the group's mean."""

    needs_greedy = True
    least_samples = 1

    def __init__(self) -> None:
        self._best: dict[str, float] = {}

    def __call__(self, group: GroupRewards) -> list[float]:
        """The best reward before this group, for every program; the history then includes this group."""
        best = self._best.get(group.problem_id)
        first = _group_mean(group) if group.greedy is None else group.greedy
        baseline = first if best is None else best
        self._best[group.problem_id] = max([*group.sampled, *(r for r in (group.greedy, best) if r is not None)])
        return [baseline] * _group_size(group)

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: `best`, problem id -> best reward."""
        return {"best": dict(self._best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._best = {str(problem): float(reward) for problem, reward in state["best"].items()}


BASELINES: dict[str, Callable[..., Baseline]] = {
    "best_so_far": BestSoFar,
    "greedy_latest": GreedyLatest,
    "group_mean": GroupMean,
    "leave_one_out": LeaveOneOut,
    "max_of_k": MaxOfK,
    "none": ZeroBaseline,
}
"""`algorithm.advantages.baseline` -> class."""


def _group_size(group: GroupRewards) -> int:
    return len(group.sampled) + (group.greedy is not None)


def _group_mean(group: GroupRewards) -> float:
    # statistics.mean is exact: equal rewards have advantage 0, not 1e-17. In a group of the greedy program
    # alone that program is compared with itself.
    if group.sampled:
        return mean(group.sampled)
    return group.greedy or 0.0
