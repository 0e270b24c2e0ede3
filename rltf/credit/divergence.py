"""Credit for wrong answers at the line where the program parts from a reference (EGCA, arXiv 2603.16158).

    weight of a token of a wrong program = w              on the diverging statement
                                         = earlier * w    before it, where w < 0
                                         = 0              behind it, where w < 0

w is what the token weighs without this: the advantage plus span credits, or what an earlier step of a chain gave it.
What stands before the diverging statement did as the reference does. Whatever stands behind it, the answer was wrong by
then, so it is not to blame.

How it deviates from the paper, and fills in what its abstract leaves open:
1. Values are compared, by their hashes, at statements that assign, return, print, call, loop or branch
   (`rltf.execution.inside.sites`), on the first test with a wrong answer.
2. Traces are aligned by values, and nobody asks a language model. Programs that are alike statement for statement are
   compared value for value; others by the fewest edits, where values that come to nothing are forgiven, and only while
   the program has computed all that the reference had (`rltf.execution.judge.diverging_line`).
3. Blame alone is moved: weights above 0 stay, since a wrong program that is better than the others of its problem is
   not better for the statement at which it goes wrong.
4. Where no statement can be told, tokens weigh what they weigh without this: values that have no hash, such as objects
   of the program's own classes; traces that were cut; another algorithm; a test that a second run does not fail.
5. Weights of the statement are not made larger for what the others lose.
6. Of several references the first one is compared. A problem without one is left as it is.

A program can write into its own trace. That moves its blame from one of its statements to another: one of them keeps
the whole of it, none is praised, and its verdict, reward and advantage and the weights of all other programs stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rltf.algorithms.advantages import token_weights
from rltf.rewards.spans import tokens_of_lines
from rltf.types import Rollout
from rltf.validation import require


@dataclass(frozen=True)
class DivergenceCredit:
    """Blame of a wrong program on the statement that diverges from a reference program.

    Args:
        earlier: share of the blame that tokens before that statement keep, between 0 and 1.

    Raises:
        OptionError: it is not between 0 and 1.
    """

    earlier: float = 0.0

    def __post_init__(self) -> None:
        require("earlier", self.earlier, at_least=0, at_most=1)

    @property
    def needs_coverage(self) -> bool:
        """False: it does not matter which lines the tests executed."""
        return False

    @property
    def needs_reference(self) -> bool:
        """True: programs with a wrong answer are compared with a reference."""
        return True

    @property
    def critic_kind(self) -> None:
        """None: it reads no critic."""

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts, those whose diverging statement is known with new `weights`; the others unchanged."""
        return [self._weigh(rollout) for rollout in rollouts]

    def _weigh(self, rollout: Rollout) -> Rollout:
        program, divergence = rollout.program, rollout.verdict.divergence
        if divergence is None or divergence.line is None:
            return rollout
        last = divergence.end_line or divergence.line
        span = tokens_of_lines(program.text, program.offsets, divergence.line, last)
        if span is None:  # the policy was given that line
            return rollout
        first, end = span
        shares = (self.earlier if t < first else 1.0 if t < end else 0.0 for t in range(len(program.token_ids)))
        weights = zip(token_weights(rollout), shares, strict=True)
        return replace(rollout, weights=tuple(w if w >= 0 else share * w or 0.0 for w, share in weights))
