"""Selection of the groups of programs that are trained on: DAPO's dynamic sampling (arXiv 2503.14476, section 3.2).

How it deviates from the paper:
1. A group is dropped when all its sampled programs earned the same reward. The paper says: when all passed or none did,
   which is the same for a reward of two values; with `adaptive`, programs that all fail may still differ.
2. Dropped groups are replaced by groups of further problems, in at most `rounds` rounds of sampling and judging; the
   paper samples without end. Groups still missing then are not replaced: the buffer keeps older rollouts instead.
3. When every group would be dropped, all are kept: they have no gradient, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rltf.types import Rollout
from rltf.validation import require

Group = Sequence[Rollout]
"""The rollouts of one problem in one iteration."""


class DynamicSampling:
    """Drops groups whose programs all earn the same, and draws groups of other problems in their place.

    Args:
        rounds: rounds of replacement per iteration; 0: groups are dropped and not replaced.

    Raises:
        OptionError: a negative number of rounds.
    """

    def __init__(self, rounds: int = 3) -> None:
        require("rounds", rounds, at_least=0, whole=True)
        self.rounds = rounds

    def __call__(
        self, groups: Sequence[Group], draw_groups: Callable[[int, int], Sequence[Group]]
    ) -> tuple[list[Group], list[Group]]:
        """(all judged groups, those to train on).

        Args:
            groups: the groups of the iteration's problems.
            draw_groups: (number of further problems, round from 1) -> their groups.
        """
        judged, selected = list(groups), [group for group in groups if is_informative(group)]
        for number in range(1, self.rounds + 1):
            if len(selected) >= len(groups):
                break
            replacements = draw_groups(len(groups) - len(selected), number)
            judged += replacements
            selected += [group for group in replacements if is_informative(group)]
        return judged, selected or judged


def is_informative(group: Group) -> bool:
    """True when the sampled programs of a group have different rewards, or equal sums of different terms that are
    compared apart."""
    return len({(rollout.reward, rollout.advantage) for rollout in group if not rollout.program.greedy}) > 1
