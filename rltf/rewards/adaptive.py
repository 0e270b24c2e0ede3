"""Adaptive feedback: the more tests a program passes, the more it earns (RLTF, section 3.2).

How it deviates from the paper:
1. The paper defines the term for programs that fail a test, and has the coarse term beside it always. Here a program
   that passes earns the value of share 1, and one that stops with an error its coarse value, so that
   `reward=fine+adaptive` is complete without a coarse term.
2. `mode: replace` is the official code: adaptive takes the place of coarse instead of being added to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rltf.types import Credit, Outcome, Problem, Program, Verdict
from rltf.validation import OptionError, require

Mode = Literal["add", "replace"]


@dataclass(frozen=True)
class Adaptive:
    """Reward of the whole program: `floor + (ceiling - floor) * share of tests passed`, when all ran to an answer.

    Args:
        floor: no test passed. Equal to the coarse value of a wrong answer, the reward has no step there.
        ceiling: every test passed.
        error: the program stopped in at least one test, however many others it passed.
        syntax_error: it does not compile.
        mode: beside a term called `coarse`: `add` to it (paper) or `replace` it (official code).

    Raises:
        ValueError: a value that is no finite number, a floor above the ceiling, or an unknown mode.

    Example:
        >>> from rltf.types import Verdict
        >>> round(Adaptive().value(Verdict(Outcome.WRONG_ANSWER, passed=7, total=10)), 2)
        0.61
    """

    floor: float = -0.3
    ceiling: float = 1.0
    error: float = -0.6
    syntax_error: float = -1.0
    mode: Mode = "add"

    def __post_init__(self) -> None:
        for key in ("floor", "ceiling", "error", "syntax_error"):
            require(key, getattr(self, key))
        if self.floor > self.ceiling:
            raise OptionError("floor", self.floor, f"at most ceiling, which is {self.ceiling}")
        require("mode", self.mode, choices=get_args(Mode))

    @property
    def replaces(self) -> tuple[str, ...]:
        """Terms that `RewardStack` leaves out when this one is present."""
        return ("coarse",) if self.mode == "replace" else ()

    def value(self, verdict: Verdict) -> float:
        """Reward of a program with this verdict."""
        match verdict.outcome:
            case Outcome.PASSED:
                return self.ceiling
            case Outcome.WRONG_ANSWER:
                return self.floor + (self.ceiling - self.floor) * verdict.passed_share
            case Outcome.SYNTAX_ERROR:
                return self.syntax_error
            case _:
                return self.error

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit of the whole program."""
        return (Credit("adaptive", self.value(verdict)),)
