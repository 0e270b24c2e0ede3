"""Judges the references of problems and mutants of them, and counts what the tests notice."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Protocol

from rltf.benchmarks.constant import constant_passes
from rltf.benchmarks.mutants import Mutant, mutants
from rltf.types import Job, Outcome, Problem, Verdict


class Judge(Protocol):
    """What judges programs: an executor."""

    def submit(self, job: Job) -> Future[Verdict]:
        """The verdict that is to come."""
        ...


@dataclass(frozen=True, slots=True)
class JudgedMutant:
    """A mutant, and what the tests made of it."""

    mutant: Mutant
    outcome: Outcome
    failed: tuple[int, ...]
    """Indices of the tests that it failed."""

    @property
    def killed(self) -> bool:
        """Whether some test failed."""
        return self.outcome is not Outcome.PASSED


@dataclass(frozen=True, slots=True)
class ProblemAudit:
    """What the tests of one problem are worth."""

    problem: Problem
    reference: Verdict | None
    """Of the first reference; None where the problem has none."""
    mutants: tuple[JudgedMutant, ...]
    """Of the first reference where it passes, and is Python; without those that cannot be judged."""
    constant: bool
    """Whether a constant program passes."""

    @property
    def exception(self) -> str:
        """Why the reference fails; empty where it passes, or where there is none."""
        if self.reference is None or self.reference.outcome is Outcome.PASSED:
            return ""
        error = self.reference.error
        detail = f" ({error.type}: {error.message})" if error is not None else ""
        failed = [number for number, test in enumerate(self.reference.tests, 1) if test.status is not Outcome.PASSED]
        return f"{self.reference.outcome.value} in test {failed[0] if failed else 1}{detail}"

    @property
    def kill_share(self) -> float | None:
        """Share of the mutants that some test kills; None without mutants."""
        return sum(judged.killed for judged in self.mutants) / len(self.mutants) if self.mutants else None

    def kill_share_of_first(self, count: int) -> float | None:
        """Share of the mutants that the first `count` tests kill; None without mutants."""
        if not self.mutants:
            return None
        return sum(any(index < count for index in judged.failed) for judged in self.mutants) / len(self.mutants)

    @property
    def needed(self) -> int:
        """Number of tests that kill as many mutants as all of them, chosen greedily: each time the test that kills most
        of those that are left."""
        killers = [set(judged.failed) for judged in self.mutants if judged.failed]
        count = 0
        while killers:
            best = max(
                sorted({index for failed in killers for index in failed}), key=lambda i: sum(i in f for f in killers)
            )
            killers = [failed for failed in killers if best not in failed]
            count += 1
        return count


def audit(
    problems: Sequence[Problem], judge: Judge, limit: int, seed: int = 0, timeout: float = 4.0
) -> list[ProblemAudit]:
    """What the tests of each problem are worth, in the problems' order.

    Args:
        problems: with references or without.
        judge: an executor that runs all tests of a program, also after one has failed.
        limit: largest number of mutants of a problem; 0: references alone.
        seed: of the choice of mutants.
        timeout: seconds a test of a mutant at most; else ten times what the reference takes, and half a second at
            least: some mutants do not end.
    """
    references = [
        judge.submit(problem.job(problem.references[0])) if problem.references else None for problem in problems
    ]
    verdicts = [None if future is None else future.result() for future in references]
    mutants_of_problems = [
        _mutants(problem, limit, seed) if verdict is not None and verdict.outcome is Outcome.PASSED else ()
        for problem, verdict in zip(problems, verdicts, strict=True)
    ]
    pending = [
        [
            judge.submit(replace(problem.job(mutant.text), timeout=_time_limit(verdict, timeout)))
            for mutant in of_problem
        ]
        for problem, of_problem, verdict in zip(problems, mutants_of_problems, verdicts, strict=True)
    ]
    return [
        ProblemAudit(problem, verdict, _judged(of_problem, [future.result() for future in futures]), constant(problem))
        for problem, verdict, of_problem, futures in zip(problems, verdicts, mutants_of_problems, pending, strict=True)
    ]


def _time_limit(reference: Verdict | None, timeout: float) -> float:
    """Seconds for a test of a mutant."""
    tests = reference.tests if reference is not None else ()
    return min(timeout, max([0.5, *(10 * test.seconds for test in tests)]))


def constant(problem: Problem) -> bool:
    """Whether a constant program passes the tests; False where a test is no Python."""
    try:
        return constant_passes(problem)
    except SyntaxError:
        return False


def _mutants(problem: Problem, limit: int, seed: int) -> tuple[Mutant, ...]:
    if not limit or problem.language != "python":
        return ()
    try:
        return mutants(problem.references[0], limit, seed)
    except (SyntaxError, RecursionError):
        return ()


def _judged(of_problem: Sequence[Mutant], verdicts: Sequence[Verdict]) -> tuple[JudgedMutant, ...]:
    return tuple(
        JudgedMutant(
            mutant,
            verdict.outcome,
            tuple(index for index, test in enumerate(verdict.tests) if test.status is not Outcome.PASSED),
        )
        for mutant, verdict in zip(of_problem, verdicts, strict=True)
        if not verdict.unjudgeable
    )
