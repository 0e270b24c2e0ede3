"""Which programs a reward term speaks of: `gate: passed` leaves it nothing to say of those that fail a test (P-GRPO,
arXiv 2508.05170), so that length, style or a model's opinion cannot be earned by a wrong program.

How it deviates from the paper:
1. P-GRPO gates the reward of a reasoning process that a model judges; here any term may be gated.
2. A term with a gate is not asked about other programs at all: one that asks a network saves their forward passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from rltf.types import Outcome, Verdict
from rltf.validation import require

Gate = Literal["passed"]


def check_gate(gate: object) -> None:
    """Refuses what is no gate.

    Raises:
        OptionError: it is neither None nor a known one.
    """
    require("gate", gate, choices=get_args(Gate), optional=True)


def speaks_of(term: object, verdicts: Sequence[Verdict]) -> list[bool]:
    """Whether the term speaks of the program with each verdict; a term without the attribute `gate` speaks of all.

    >>> from rltf.rewards.overlong import Overlong
    >>> verdicts = [Verdict(Outcome.PASSED, 1, 1), Verdict(Outcome.WRONG_ANSWER, 0, 1)]
    >>> speaks_of(Overlong(gate="passed"), verdicts), speaks_of(Overlong(), verdicts)
    ([True, False], [True, True])
    """
    gate = getattr(term, "gate", None)
    return [gate is None or verdict.outcome is Outcome.PASSED for verdict in verdicts]
