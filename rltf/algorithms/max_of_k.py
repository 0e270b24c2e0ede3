"""Pass@k as the objective: what a program adds to the best of k (PKPO, arXiv 2505.15201; `sloo_minus_one` there).

    A_i = k * mean over the sets J of k - 1 other sampled programs of max(R_i - max of J, 0)

The mean of A_i grad log p_i over the group is an unbiased estimate of the gradient of E[best reward of k programs].
With rewards 1 and 0, n programs and c passes, A is k C(n - c, k - 1) / C(n - 1, k - 1) for a pass and 0 for the others:
a pass among passes teaches little, and the only one k times as much as in REINFORCE.

How it deviates from the paper:
1. A_i is n times the paper's, since losses here are means over programs and the paper's is a sum.
2. In a group that judging left incomplete, k is at most the number of its programs; one alone has advantage 0.
3. The greedy program was not drawn and is no part of any set; it is compared with the group's mean.
"""

from __future__ import annotations

from itertools import repeat
from math import comb
from statistics import mean

from rltf.algorithms.group_rewards import GroupRewards, StatelessBaseline
from rltf.validation import require


class MaxOfK(StatelessBaseline):
    """The baseline below which a reward is what its program adds to the best of k.

    Args:
        k: programs of a set, at least 2; at most `rollouts.samples`.

    Example:
        >>> MaxOfK(k=2)(GroupRewards("p", (1.0, 0.0, 0.0)))
        [-1.0, 0.0, 0.0]
    """

    def __init__(self, k: int = 2) -> None:
        require("k", k, at_least=2, whole=True)
        self.least_samples = self._k = k

    def __call__(self, group: GroupRewards) -> list[float]:
        """Reward less A_i for each sampled program; the mean for the greedy one."""
        rewards = group.sampled
        if len(rewards) < self._k and not group.incomplete:
            raise ValueError(
                f"algorithm.advantages.k is {self._k} with {len(rewards)} sampled programs of problem "
                f"{group.problem_id}, expected k of at most rollouts.samples"
            )
        k = min(self._k, len(rewards))
        baselines = [reward - best_of_k_gain(rewards, i, k) for i, reward in enumerate(rewards)]
        return baselines if group.greedy is None else [*baselines, mean(rewards) if rewards else group.greedy]


def best_of_k_gain(rewards: tuple[float, ...], i: int, k: int) -> float:
    """A_i of the module's formula; 0 for k below 2.

    >>> best_of_k_gain((1.0, 1.0, 0.0, 0.0), 0, k=2)  # 2 * C(2, 1) / C(3, 1)
    1.3333333333333333
    """
    if k < 2:
        return 0.0
    others = sorted(rewards[:i] + rewards[i + 1 :])
    # C(p, k - 2) of the sets of k - 1 others have the one at rising position p as their best
    sets = map(comb, range(len(others)), repeat(k - 2))
    gains = sum(count * max(rewards[i] - best, 0.0) for best, count in zip(others, sets, strict=True))
    return k * gains / comb(len(others), k - 1)
