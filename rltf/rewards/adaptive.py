"""Adaptive feedback: the more tests a program passes, the more it earns (RLTF, section 3.2).

How it deviates from the paper:
1. The paper defines the term for programs that fail a test, and has the coarse term beside it always. Here a program
   that passes earns the value of share 1, and one that stops with an error its coarse value, so that
   `reward=fine+adaptive` is complete without a coarse term.
2. `mode: replace` is the official code: adaptive takes the place of coarse instead of being added to it.
3. `tests: rare` counts a test by how few programs of the problem pass it (`rltf.rewards.rarity`); the paper's tests
   count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rltf.rewards.rarity import rare_shares
from rltf.types import Credit, Outcome, Problem, Program, Verdict
from rltf.validation import OptionError, require

Mode = Literal["add", "replace"]
TestWeights = Literal["equal", "rare"]


@dataclass(frozen=True)
class Adaptive:
    """Reward of the whole program: `floor + (ceiling - floor) * share of tests passed`, when all ran to an answer.

    Args:
        floor: no test passed. Equal to the coarse value of a wrong answer, the reward has no step there.
        ceiling: every test passed.
        error: the program stopped in at least one test, however many others it passed.
        syntax_error: it does not compile.
        mode: beside a term called `coarse`: `add` to it (paper) or `replace` it (official code).
        tests: `equal` counts every test alike (paper); `rare` by the share of the group's programs that fail it.

    Raises:
        ValueError: a value that is no finite number, a floor above the ceiling, or an unknown mode or way to count.

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
    tests: TestWeights = "equal"

    def __post_init__(self) -> None:
        for key in ("floor", "ceiling", "error", "syntax_error"):
            require(key, getattr(self, key))
        if self.floor > self.ceiling:
            raise OptionError("floor", self.floor, f"at most ceiling, which is {self.ceiling}")
        require("mode", self.mode, choices=get_args(Mode))
        require("tests", self.tests, choices=get_args(TestWeights))

    @property
    def replaces(self) -> tuple[str, ...]:
        """Terms that `RewardStack` leaves out when this one is present."""
        return ("coarse",) if self.mode == "replace" else ()

    def value(self, verdict: Verdict, share: float | None = None) -> float:
        """Reward of a program with this verdict.

        Args:
            verdict: of the program.
            share: of the tests that it passed, however they count; None: they count alike.
        """
        match verdict.outcome:
            case Outcome.PASSED:
                return self.ceiling
            case Outcome.WRONG_ANSWER:
                return self.floor + (self.ceiling - self.floor) * (verdict.passed_share if share is None else share)
            case Outcome.SYNTAX_ERROR:
                return self.syntax_error
            case _:
                return self.error

    def __call__(self, problem: Problem, program: Program, verdict: Verdict) -> Sequence[Credit]:
        """One credit of the whole program; with `tests: rare` that of a group of one."""
        return self.credit_batch([(problem, program, verdict)])[0]

    def credit_batch(self, judged: Sequence[tuple[Problem, Program, Verdict]]) -> list[Sequence[Credit]]:
        """One credit of each whole program, e.g. of an iteration."""
        shares = rare_shares(judged) if self.tests == "rare" else [None] * len(judged)
        return [
            (Credit("adaptive", self.value(verdict, share)),)
            for (_, _, verdict), share in zip(judged, shares, strict=True)
        ]
