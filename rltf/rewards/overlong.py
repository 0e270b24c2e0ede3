"""Soft penalty on responses that come near the length limit (DAPO, arXiv 2503.14476, section 3.4).

How it deviates from the paper:
1. `gate: passed` takes the penalty from programs that fail a test; the paper's is for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rltf.rewards.gates import Gate, check_gate
from rltf.types import Credit, Problem, Program, Verdict
from rltf.validation import require


@dataclass(frozen=True)
class Overlong:
    """Reward of the whole program: 0 up to `limit * (1 - margin)` tokens, then a straight line down to -1 at `limit`.

    Args:
        limit: tokens at which sampling stops, the end-of-sequence token included.
        margin: share of the limit in which the penalty grows (DAPO: 4,096 of 20,480).
        gate: `passed`: only programs that pass are penalised; None: all (DAPO).

    Raises:
        ValueError: a limit below 1, a margin that is no share above 0, or an unknown gate.

    Example:
        >>> Overlong(limit=20480).value(18432)
        -0.5
    """

    limit: int = 512
    margin: float = 0.2
    gate: Gate | None = None

    def __post_init__(self) -> None:
        require("limit", self.limit, at_least=1, whole=True)
        require("margin", self.margin, above=0, at_most=1)
        check_gate(self.gate)

    def value(self, tokens: int) -> float:
        """Reward of a response of `tokens` tokens."""
        start = self.limit * (1.0 - self.margin)
        return -min(max((tokens - start) / (self.limit - start), 0.0), 1.0)

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit of the whole program."""
        return (Credit("overlong", self.value(len(program.token_ids))),)
