"""Coarse feedback: one number for each kind of outcome (RLTF, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rltf.types import Credit, Outcome, Problem, Program, Verdict
from rltf.validation import require


@dataclass(frozen=True)
class Coarse:
    """Reward of the whole program by the outcome of its worst test.

    Args:
        passed: every test passed.
        wrong_answer: it ran every test to an answer, and at least one was wrong.
        error: it stopped in at least one test: runtime error, timeout, or a limit of the sandbox.
        syntax_error: it does not compile.

    Raises:
        ValueError: a value that is no finite number.

    Example:
        >>> from rltf.types import Verdict
        >>> Coarse().value(Verdict(Outcome.TIMEOUT, passed=3, total=4))
        -0.6
    """

    passed: float = 1.0
    wrong_answer: float = -0.3
    error: float = -0.6
    syntax_error: float = -1.0

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            require(key, value)

    def value(self, verdict: Verdict) -> float:
        """Reward of a program with this verdict."""
        match verdict.outcome:
            case Outcome.PASSED:
                return self.passed
            case Outcome.WRONG_ANSWER:
                return self.wrong_answer
            case Outcome.SYNTAX_ERROR:
                return self.syntax_error
            case _:
                return self.error

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit of the whole program."""
        return (Credit("coarse", self.value(verdict)),)
