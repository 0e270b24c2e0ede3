"""Pass first: a pass earns 1, every other program a small part for the tests that it passed.

The reward of open-r1's Codeforces recipe (`weighted_sum`: pass + 0.1 x share of tests). How it deviates:
1. A pass earns 1 and not 1 + `share_weight`, so that rewards are shares of a pass.
2. A program that an error stops in one test keeps its part for the others that it passed: `coarse` and `adaptive` pay
   such a program less than one whose answers are all wrong.
Compiling alone, or running to a wrong answer, earns nothing: RLTF's ladder spends 35 % of its range on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.types import Credit, Outcome, Problem, Program, Verdict
from rltf.validation import require


@dataclass(frozen=True)
class PassFirst:
    """Reward of the whole program: 1 when every test passes, else `share_weight` * share of tests passed.

    Args:
        share_weight: what passing nearly all tests comes near to; below 1, what a pass earns.

    Raises:
        ValueError: a weight below 0, of 1 or above.

    Example:
        >>> from rltf.types import Verdict
        >>> PassFirst().value(Verdict(Outcome.WRONG_ANSWER, passed=5, total=10))
        0.05
    """

    share_weight: float = 0.1

    def __post_init__(self) -> None:
        require("share_weight", self.share_weight, at_least=0, below=1)

    def value(self, verdict: Verdict) -> float:
        """Reward of a program with this verdict."""
        return 1.0 if verdict.outcome is Outcome.PASSED else self.share_weight * verdict.passed_share

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit of the whole program."""
        return (Credit("pass_first", self.value(verdict)),)
