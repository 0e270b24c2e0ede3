"""Judged programs of one problem become rollouts with an advantage.

    reward    = sum of the whole-program credits
    advantage = (reward - baseline) / spread of the group's rewards, where `normalize` asks for it
    weight of a token = advantage + the span credits that cover it

Span credits meet no baseline and no normalisation (RLTF, equation 4). A token credit (`rltf.credit`) replaces the last
line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import pstdev, stdev
from typing import Any

from rltf.algorithms.baselines import BASELINES, GroupRewards
from rltf.types import Credit, Program, Rollout, Verdict
from rltf.validation import require

CreditedProgram = tuple[Program, Verdict, tuple[Credit, ...]]
"""A judged program and its credits."""


@dataclass(frozen=True)
class CreditedGroup:
    """One problem's judged programs of one iteration, with their credits."""

    programs: Sequence[CreditedProgram]
    """At most one of them greedy. The greedy program becomes a rollout too, but is part of no mean or spread."""
    incomplete: bool = False
    """Programs of the group could not be judged and are left out."""


SPREADS: dict[str, Callable[[Sequence[float]], float]] = {
    "none": lambda rewards: 1.0,
    "std": lambda rewards: pstdev(rewards) if rewards else 0.0,
    "sample_std": lambda rewards: stdev(rewards) if len(rewards) > 1 else 0.0,
}
"""`algorithm.advantages.normalize` -> function of a group's sampled rewards that advantages are divided by."""


class Advantages:
    """Turns the judged programs of one iteration into rollouts.

    Args:
        baseline: `best_so_far`, `greedy_latest`, `group_mean`, `leave_one_out` or `none`.
        normalize: `none`, `std` (population) or `sample_std` of the group's sampled rewards. A group whose rewards are
            all equal has nothing to normalise by: its advantages are left as they are.
        clip: bound of |advantage|, applied last; None: none.

    Example:
        >>> advantages = Advantages(baseline="greedy_latest")
        >>> advantages.needs_greedy
        True
    """

    def __init__(self, baseline: str = "best_so_far", normalize: str = "none", clip: float | None = None) -> None:
        require("baseline", baseline, choices=BASELINES)
        require("normalize", normalize, choices=SPREADS)
        require("clip", clip, above=0, optional=True)
        self._baseline = BASELINES[baseline]()
        self._spread = SPREADS[normalize]
        self._clip = clip

    @property
    def needs_greedy(self) -> bool:
        """True when every group needs its greedy program."""
        return self._baseline.needs_greedy

    @property
    def least_samples(self) -> int:
        """Sampled programs of a problem below which every advantage would be 0, or none could be computed."""
        return self._baseline.least_samples

    def __call__(self, harvest: Sequence[CreditedGroup]) -> list[list[Rollout]]:
        """Rollouts of each group, in its order.

        Args:
            harvest: the groups of one iteration.
        """
        return [self._group_rollouts(group.programs, group.incomplete) if group.programs else [] for group in harvest]

    def _group_rollouts(self, group: Sequence[CreditedProgram], incomplete: bool) -> list[Rollout]:
        rewards = [whole_program_reward(credits) for _, _, credits in group]
        sampled = [i for i, (program, _, _) in enumerate(group) if not program.greedy]
        greedy = [i for i, (program, _, _) in enumerate(group) if program.greedy]
        assert len({program.problem_id for program, _, _ in group}) == 1, "a group is of one problem"
        assert len(greedy) <= 1, "a group has at most one greedy program"

        sampled_rewards = tuple(rewards[i] for i in sampled)
        greedy_reward = rewards[greedy[0]] if greedy else None
        group_rewards = GroupRewards(_history_key(group[0][0]), sampled_rewards, greedy_reward, incomplete)
        baselines = dict(zip(sampled + greedy, self._baseline(group_rewards), strict=True))
        spread = self._spread(sampled_rewards) or 1.0
        advantages = [self._clip_advantage((reward - baselines[i]) / spread) for i, reward in enumerate(rewards)]
        return [
            Rollout(program, verdict, credits, rewards[i], baselines[i], advantages[i])
            for i, (program, verdict, credits) in enumerate(group)
        ]

    def state_dict(self) -> dict[str, Any]:
        """The baseline's state for a checkpoint, in plain builtins."""
        return self._baseline.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._baseline.load_state_dict(state)

    def _clip_advantage(self, advantage: float) -> float:
        return advantage if self._clip is None else max(-self._clip, min(self._clip, advantage))


def _history_key(program: Program) -> str:
    """Key of the problem's rewards in the baseline's history: a program that starts with a prefix is another task than
    one that the policy writes whole."""
    return program.problem_id if not program.prefix_ids else f"{program.problem_id}+{len(program.prefix_ids)}"


def whole_program_reward(credits: Sequence[Credit]) -> float:
    """Sum of the credits without a span."""
    return sum((credit.value for credit in credits if credit.span is None), start=0.0)


def token_weights(rollout: Rollout) -> list[float]:
    """Weight of each response token: `rollout.weights` where they are set, else the advantage plus the value of every
    span credit that covers the token."""
    if rollout.weights:
        return list(rollout.weights)
    weights = [rollout.advantage] * len(rollout.program.token_ids)
    for credit in rollout.credits:
        if credit.span is not None:
            for t in range(*credit.span):
                weights[t] += credit.value
    return weights
