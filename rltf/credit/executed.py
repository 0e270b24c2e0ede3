"""Credit for executed code only: StepCoder's fine-grained optimisation (arXiv 2402.01391, section 3.2).

    weight of a token = m_t * (advantage + span credits),   m_t = 1 if some test executed a line of it, else 0

How it reads what the paper leaves open:
1. The mask multiplies the policy's surrogate alone: a KL term reaches masked tokens too, and sums are divided by what
   they are divided by without a mask. With `leave_out` masked tokens are no part of the loss, its KL and its counts.
2. m_t is 1 where nothing is known: the program does not compile, or the token wrote no part of it (end of sequence,
   text around the code).
3. A token that lies on two lines needs one of them to be executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rltf.algorithms.advantages import token_weights
from rltf.rewards.spans import tokens_within_lines
from rltf.types import Rollout


@dataclass(frozen=True)
class ExecutedLinesCredit:
    """Weight 0 for tokens of lines that no test executed.

    Args:
        leave_out: True: those tokens are no part of the loss at all.
    """

    leave_out: bool = False

    @property
    def needs_coverage(self) -> bool:
        """True: weights depend on the lines that tests executed."""
        return True

    @property
    def needs_reference(self) -> bool:
        """False: nothing is compared with a reference program."""
        return False

    @property
    def critic_kind(self) -> None:
        """None: it reads no critic."""

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts, those with unexecuted lines with new `weights`; the others unchanged."""
        return [self._weigh(rollout) if rollout.verdict.unexecuted else rollout for rollout in rollouts]

    def _weigh(self, rollout: Rollout) -> Rollout:
        program = rollout.program
        unexecuted = tokens_within_lines(program.text, program.offsets, rollout.verdict.unexecuted or ())
        weights = tuple(0.0 if t in unexecuted else weight for t, weight in enumerate(token_weights(rollout)))
        excluded = tuple(sorted({*rollout.excluded_tokens, *(unexecuted if self.leave_out else ())}))
        return replace(rollout, weights=weights, excluded_tokens=excluded)
