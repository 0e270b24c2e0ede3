"""Values of tokens without a critic, from the prefix tree that the programs of a problem form (P2T and TEMPO, arXiv
2509.18314).

    V(prefix) = mean reward of the group's programs that begin with it
    weight of token t = (R - mean + V(tokens up to t) - V(tokens before t)) / spread + span credits

Where programs of a group part, the branch whose programs earn more is credited at the token that chose it. Behind the
token at which a program left all others its value is its own reward, and its tokens have the group's advantage alone.
The steps V - V of a program sum to R - mean.

    rewards 1, 0, 0, 0 of  a b / a c / d e / d e      V: root 1/4, a 1/2, ab 1, ac 0, d 0, de 0
    steps of V             1/4 1/2 / 1/4 -1/2 / -1/4 0 / -1/4 0

How it deviates from the paper:
1. The greedy program was not drawn from the policy: no other program's values count it, its own do.
2. `normalize=batch` divides by the spread of all differences R - mean of the harvest, as advantages are; the paper
   divides by that of the group.
3. Advantages are those of the group's mean, whatever `algorithm.advantages.baseline` is, so that both parts are of one
   scale; `algorithm.advantages.clip` is not read.
4. Programs part at tokens. Two tokenisations of one text are two branches.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from statistics import mean

from rltf.algorithms.spreads import SPREADS, group_spread
from rltf.credit.comparison import (
    ComparedCredit,
    batch_spread,
    differences,
    group_programs,
    with_token_advantages,
)
from rltf.types import Rollout
from rltf.validation import require


@dataclass(frozen=True)
class PrefixTreeCredit(ComparedCredit):
    """Weights by what the programs that share a prefix earned on average.

    Args:
        normalize: what differences of rewards are divided by: `none`, `std`, `sample_std` of the group, or `batch`.

    Raises:
        OptionError: an unknown choice.
    """

    normalize: str = "none"

    def __post_init__(self) -> None:
        require("normalize", self.normalize, choices=SPREADS)

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts, all with new `weights`."""
        advantages: list[list[float]] = [[] for _ in rollouts]
        differences_of_sampled: list[float] = []
        for group in group_programs(rollouts):
            sampled = [i for i in group if not rollouts[i].program.greedy]
            compared = differences({i: rollouts[i].reward for i in group}, sampled, "none")
            spread = group_spread([rollouts[i].reward for i in sampled], self.normalize)
            for i in group:
                tree = [(rollouts[j].program.token_ids, rollouts[j].reward) for j in dict.fromkeys((*sampled, i))]
                steps = value_steps(rollouts[i].program.token_ids, tree)
                advantages[i] = [(compared[i] + step) / spread for step in steps]
            differences_of_sampled += [compared[i] for i in sampled]
        harvest_spread = batch_spread(differences_of_sampled, self.normalize)
        return [
            with_token_advantages(rollout, [advantage / harvest_spread for advantage in row])
            for rollout, row in zip(rollouts, advantages, strict=True)
        ]


def value_steps(token_ids: Sequence[Hashable], tree: Sequence[tuple[Sequence[Hashable], float]]) -> list[float]:
    """By how much each token of a program changes the mean reward of the programs that begin like it.

    Args:
        token_ids: the program's tokens.
        tree: tokens and reward of each program of the group, this one among them.

    Example:
        >>> value_steps("ab", [("ab", 1.0), ("ac", 0.0), ("de", 0.0), ("de", 0.0)])
        [0.25, 0.5]
    """
    sharers, value, steps = tree, mean(reward for _, reward in tree), []
    for t, token in enumerate(token_ids):
        continued = [path for path in sharers if t < len(path[0]) and path[0][t] == token]
        value_before = value
        if len(continued) < len(sharers):
            value = mean(reward for _, reward in continued)
        steps.append(value - value_before)
        sharers = continued
    return steps
