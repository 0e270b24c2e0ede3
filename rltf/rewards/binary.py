"""Verifiable reward as most work after RLTF uses it: the tests pass, or they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rltf.types import Credit, Outcome, Problem, Program, Verdict
from rltf.validation import require


@dataclass(frozen=True)
class Binary:
    """Reward of the whole program: `passed` when every test passes, else `failed`.

    Args:
        passed: every test passed.
        failed: anything else.

    Raises:
        ValueError: a value that is no finite number.

    Example:
        >>> from rltf.types import Verdict
        >>> Binary().value(Verdict(Outcome.WRONG_ANSWER, passed=9, total=10))
        0.0
    """

    passed: float = 1.0
    failed: float = 0.0

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            require(key, value)

    def value(self, verdict: Verdict) -> float:
        """Reward of a program with this verdict."""
        return self.passed if verdict.outcome is Outcome.PASSED else self.failed

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit of the whole program."""
        return (Credit("binary", self.value(verdict)),)
