"""Programs compared with the others of their problem: what credits that set advantages of tokens share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean

from rltf.algorithms.spreads import group_spread, harvest_spread
from rltf.types import Rollout


class ComparedCredit:
    """What all credits say that compare a program with the others of its problem."""

    @property
    def needs_coverage(self) -> bool:
        """False: it reads no coverage."""
        return False

    @property
    def needs_reference(self) -> bool:
        """False: nothing is compared with a reference program."""
        return False

    @property
    def critic_kind(self) -> None:
        """None: it reads no critic."""

    @property
    def sets_advantages(self) -> bool:
        """True: it takes the place of the advantage, so that an algorithm may not have a credit of its own."""
        return True

    @property
    def least_samples(self) -> int:
        """Sampled programs of a problem below which every advantage would be 0."""
        return 2


def group_programs(rollouts: Sequence[Rollout]) -> list[list[int]]:
    """Positions of the programs of each problem; those that were given another beginning are another problem's."""
    groups: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for position, rollout in enumerate(rollouts):
        groups.setdefault((rollout.program.problem_id, rollout.program.prefix_ids), []).append(position)
    return list(groups.values())


def differences(values: Mapping[int, float], sampled: Sequence[int], normalize: str) -> dict[int, float]:
    """Each program's value less the mean of the group's sampled programs, divided by their spread where `normalize`
    asks for that of the group; not divided where they are all equal.

    Args:
        values: position of a program -> its value, of one group.
        sampled: positions of the programs that mean and spread are taken of; a greedy one is none of them.
        normalize: one of `rltf.algorithms.spreads.SPREADS`; `batch` divides nothing yet (`batch_spread`).

    Example:
        >>> differences({0: 1.0, 1: 0.0, 2: 1.0}, sampled=[0, 1], normalize="std")
        {0: 1.0, 1: -1.0, 2: 1.0}
    """
    compared = [values[i] for i in sampled if i in values] or list(values.values())
    if not compared:
        return {}
    centre, spread = mean(compared), group_spread(compared, normalize)
    return {i: (value - centre) / spread for i, value in values.items()}


def batch_spread(centred: Sequence[float], normalize: str) -> float:
    """What the differences of a whole harvest are divided by: with `batch` their population spread, where they differ;
    else 1."""
    return harvest_spread(centred) if normalize == "batch" else 1.0


def with_token_advantages(rollout: Rollout, advantages_T: Sequence[float]) -> Rollout:
    """The rollout with an advantage for each of its tokens, and the span credits of the reward on top."""
    assert not rollout.weights, "a credit that sets advantages of tokens comes first in a chain"
    weights = list(advantages_T)
    for credit in rollout.credits:
        if credit.span is not None:
            for t in range(*credit.span):
                weights[t] += credit.value
    return replace(rollout, weights=tuple(weights))
