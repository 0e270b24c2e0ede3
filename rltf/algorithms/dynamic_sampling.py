"""Which groups of programs are worth training on: DAPO's dynamic sampling (arXiv 2503.14476, section 3.2).

How it deviates from the paper:
1. A group is dropped when all its sampled programs earned the same reward. The paper says: when all passed or none did,
   which is the same for a reward of two values; with `adaptive`, programs that all fail may still differ.
2. Dropped groups are replaced by further problems of the order, in at most `rounds` rounds of sampling and judging; the
   paper samples without end. What is missing after that is missing: the buffer then keeps older rollouts instead.
3. Where nothing is left, everything is kept: it has no gradient, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rltf.types import Rollout
from rltf.validation import require

Group = Sequence[Rollout]
"""The rollouts of one visit to a problem."""


class DynamicSampling:
    """Drops groups that teach nothing, and has others drawn in their place.

    Args:
        rounds: of replacement an iteration; 0: groups are dropped only.

    Raises:
        ValueError: a negative number of rounds.
    """

    def __init__(self, rounds: int = 3) -> None:
        require("rounds", rounds, at_least=0, whole=True)
        self.rounds = rounds

    def __call__(
        self, groups: Sequence[Group], draw: Callable[[int, int], Sequence[Group]]
    ) -> tuple[list[Group], list[Group]]:
        """(every group that was judged, those to train on).

        Args:
            groups: what was drawn first.
            draw: (number of problems, round from 1) -> their groups.
        """
        judged, kept = list(groups), [group for group in groups if informative(group)]
        for number in range(1, self.rounds + 1):
            if len(kept) >= len(groups):
                break
            more = draw(len(groups) - len(kept), number)
            judged += more
            kept += [group for group in more if informative(group)]
        return judged, kept or judged


def informative(group: Group) -> bool:
    """True when the sampled programs of a group do not all earn the same."""
    return len({rollout.reward for rollout in group if not rollout.program.greedy}) > 1
