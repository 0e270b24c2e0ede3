"""Credit test by test: the advantage that a program has at a test goes to the lines which that test executed.

    A_it = (s_it - mean_j s_jt) / spread        programs j of the group; spread as `normalize` says, test by test
    weight of a token of program i = span credits + mean of A_it over the tests t that executed a line of it

s_it is the value of test t's outcome for program i. Why it is sound: the outcome of a test does not depend on tokens
that it never executed, so dropping those terms from the policy gradient takes variance and no expectation away. The
proviso: given that the program compiles and defines the same names. A token that breaks the compilation, or hides a
name that a test needs, does so on a line that the test may never have executed.

No paper has this; the defaults are what docs/results/feedback.md measured to teach most. With `reduce: sum` the mean
becomes a sum over K tests: a line that one test of ten executes has a tenth of the weight of a whole program's failure,
whose noise then drowns it. How it fills in what its definition leaves open:
1. K is the number of tests that could be judged of program i. A test that could not says nothing of it: it is no part
   of its sum, and the program no part of the test's mean.
2. A program that does not compile gets the mean over all tests at the tokens of the line that the compiler names: that
   no test ran is due to them; with `uncompiled: all`, or where no line is named, at every token. Tokens that wrote no
   part of a program (end of sequence, text around the code) get the mean over all tests, as do lines of which no mark
   tells, such as a comment at the end.
3. A test without lines of its own (not run, since the program had broken or timed out before it) counts as one that
   executed every line which some test executed.
4. A token that lies on two lines belongs to the tests of both. Lines that no judged test executed weigh 0.
5. A test that every program passes has advantage 0. One that nobody passes still tells a wrong answer from an error.
6. The whole-program terms of the reward are not read: these values take their place. Span credits (`fine`) come on top.
7. Means and spreads are those of the group's sampled programs; the greedy one is compared with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rltf.algorithms.spreads import SPREADS
from rltf.credit.comparison import (
    ComparedCredit,
    batch_spread,
    differences,
    group_programs,
    with_token_advantages,
)
from rltf.credit.lines import lines_of_tokens
from rltf.types import Outcome, Rollout
from rltf.validation import require

AdvantagesByTest = Sequence[float | None]
"""Of one program, test by test; None: the test could not be judged."""


@dataclass(frozen=True)
class PerTestCredit(ComparedCredit):
    """Weights by the tests that executed a token's line; each test is compared over the programs of a problem.

    Args:
        passed: value of a test that passed.
        wrong_answer: of one that ran to a wrong answer.
        error: of one that stopped with an error or at a limit.
        syntax_error: of every test of a program that does not compile.
        reduce: what a line gets of its tests' advantages: their `mean`, or their `sum` over the number of all tests.
        uncompiled: which tokens of a program that does not compile get the mean over its tests: those of the `line`
            that the compiler names (all where it names none), or `all`.
        normalize: what a test's differences are divided by: `none`, `std`, `sample_std` of the group, or `batch`.

    Raises:
        OptionError: a value that is no finite number, or an unknown choice.
    """

    passed: float = 1.0
    wrong_answer: float = 0.0
    error: float = 0.0
    syntax_error: float = 0.0
    reduce: str = "mean"
    uncompiled: str = "line"
    normalize: str = "none"

    def __post_init__(self) -> None:
        for key in ("passed", "wrong_answer", "error", "syntax_error"):
            require(key, getattr(self, key))
        require("reduce", self.reduce, choices=("sum", "mean"))
        require("uncompiled", self.uncompiled, choices=("all", "line"))
        require("normalize", self.normalize, choices=SPREADS)

    @property
    def needs_coverage(self) -> bool:
        """True: weights depend on the lines that each test executed."""
        return True

    def __call__(self, rollouts: Sequence[Rollout]) -> list[Rollout]:
        """The rollouts, all with new `weights` and `test_advantages`."""
        advantages = self.advantages(rollouts)
        return [
            replace(
                with_token_advantages(rollout, self._token_advantages(rollout, by_test)), test_advantages=tuple(by_test)
            )
            for rollout, by_test in zip(rollouts, advantages, strict=True)
        ]

    def advantages(self, rollouts: Sequence[Rollout]) -> list[AdvantagesByTest]:
        """The advantage of each program at each test of its problem."""
        rows: list[list[float | None]] = [[] for _ in rollouts]
        for group in group_programs(rollouts):
            sampled = [i for i in group if not rollouts[i].program.greedy]
            for test in range(max(len(rollouts[i].verdict.tests) for i in group)):
                values = {i: value for i in group if (value := self._value(rollouts[i], test)) is not None}
                compared = differences(values, sampled, self.normalize)
                for i in group:
                    rows[i].append(compared.get(i))
        of_sampled = [
            advantage
            for rollout, row in zip(rollouts, rows, strict=True)
            for advantage in row
            if advantage is not None and not rollout.program.greedy
        ]
        spread = batch_spread(of_sampled, self.normalize)
        return [[None if advantage is None else advantage / spread for advantage in row] for row in rows]

    def _value(self, rollout: Rollout, test: int) -> float | None:
        """The value of a test's outcome; None where it could not be judged."""
        results = rollout.verdict.tests
        outcome = results[test].status if test < len(results) else rollout.verdict.outcome
        if outcome is Outcome.UNJUDGEABLE:
            return None
        return (self.syntax_error, self.error, self.wrong_answer, self.passed)[outcome.stage]

    def _token_advantages(self, rollout: Rollout, by_test: AdvantagesByTest) -> list[float]:
        judged = {test: advantage for test, advantage in enumerate(by_test) if advantage is not None}
        weights: dict[frozenset[int], float] = {}
        token_weights = []
        for tests in executing_tests(rollout, frozenset(judged)):
            if tests not in weights:
                divisor = len(tests) if self.reduce == "mean" else len(judged)
                weights[tests] = math.fsum(judged[test] for test in tests) / divisor if tests else 0.0
            token_weights.append(weights[tests])
        error = rollout.verdict.error
        if self.uncompiled == "line" and rollout.verdict.outcome is Outcome.SYNTAX_ERROR and error and error.line:
            named = set(range(error.line, (error.end_line or error.line) + 1))
            lines = lines_of_tokens(rollout.program.text, rollout.program.offsets)
            return [w if named & set(of_token) else 0.0 for w, of_token in zip(token_weights, lines, strict=True)]
        return token_weights


def executing_tests(rollout: Rollout, tests: frozenset[int]) -> list[frozenset[int]]:
    """For each token those of the `tests` that executed a line of it; all of them where its lines are unknown."""
    program, verdict = rollout.program, rollout.verdict
    if verdict.unexecuted is None:
        return [tests] * len(program.token_ids)
    tests_of_line: dict[int, set[int]] = {}
    for test, result in enumerate(verdict.tests):
        for line in result.executed or ():
            tests_of_line.setdefault(line, set()).add(test)
    unmeasured = {test for test in tests if test >= len(verdict.tests) or verdict.tests[test].executed is None}
    judged_of_line = {line: tests & (of_line | unmeasured) for line, of_line in tests_of_line.items()}
    judged_of_line |= dict.fromkeys(verdict.unexecuted, frozenset())
    return [
        frozenset().union(*(judged_of_line.get(line, tests) for line in lines)) if lines else tests
        for lines in lines_of_tokens(program.text, program.offsets)
    ]
