"""`evaluation.json`: the outcomes of all held-out programs, before and after RL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rltf.metrics.pass_at_k import pass_at_k
from rltf.types import Outcome

STAGES = ("syntax error", "runtime error", "wrong answer", "passed")
"""Names of `Outcome.stage`; timeouts and limits count as runtime errors, what could not be judged as a wrong answer."""


@dataclass(frozen=True)
class ProblemOutcome:
    """Outcomes of the programs of one problem."""

    problem_id: str
    difficulty: str
    tags: tuple[str, ...]
    draws: tuple[Outcome, ...]
    """Outcome of each program, in the order of draws."""
    greedy_passed: bool | None
    errors: Mapping[str, int]
    """Error type -> programs."""
    tests_passed: float | None = None
    """Mean share of tests that a program passed; None in files of 0.1."""

    @property
    def passed(self) -> int:
        """Programs that passed."""
        return self.draws.count(Outcome.PASSED)


@dataclass(frozen=True)
class HeldOut:
    """Outcomes of the same problems with the same random streams, before and after RL."""

    before_rl: tuple[ProblemOutcome, ...]
    after_rl: tuple[ProblemOutcome, ...]
    """Empty for a run that has not finished."""

    def problems(self, when: str) -> tuple[ProblemOutcome, ...]:
        """Outcomes `before` or `after` RL."""
        return self.before_rl if when == "before" else self.after_rl

    @property
    def draws(self) -> int:
        """Fewest programs that a problem has."""
        return min((len(p.draws) for p in (*self.before_rl, *self.after_rl)), default=0)

    @property
    def has_tests_passed(self) -> bool:
        """True if the share of tests passed is known of every problem."""
        return all(p.tests_passed is not None for p in (*self.before_rl, *self.after_rl))

    def values(self, when: str, measure: str) -> NDArray[np.float64]:
        """One number per problem; `measure` is `greedy`, `tests` (share of tests passed) or `pass@k`."""
        if measure == "greedy":
            return np.array([float(bool(p.greedy_passed)) for p in self.problems(when)])
        if measure == "tests":
            return np.array([p.tests_passed or 0.0 for p in self.problems(when)])
        k = int(measure.removeprefix("pass@"))
        return np.array([pass_at_k(len(p.draws), p.passed, k) for p in self.problems(when)])

    def shares(self, when: str, labels: Callable[[ProblemOutcome], Iterable[str]]) -> dict[str, tuple[float, int]]:
        """Label -> (share of programs that passed, problems), over the problems that `labels` gives the label."""
        labelled: dict[str, list[float]] = {}
        for problem in self.problems(when):
            for label in labels(problem):
                labelled.setdefault(label, []).append(problem.passed / len(problem.draws))
        return {label: (sum(shares) / len(shares), len(shares)) for label, shares in labelled.items()}

    def errors(self, when: str) -> dict[str, float]:
        """Error type -> share of programs."""
        counts: Counter[str] = Counter()
        for problem in self.problems(when):
            counts.update(problem.errors)
        programs = sum(len(p.draws) for p in self.problems(when))
        return {kind: count / programs for kind, count in counts.most_common()}

    def flow(self) -> NDArray[np.float64]:
        """Share of programs by stage before (row) and after (column), 4 by 4: draw i of a problem has the same random
        stream both times."""
        counts = np.zeros((len(STAGES), len(STAGES)))
        for problem, same_problem in zip(self.before_rl, self.after_rl, strict=True):
            for start, end in zip(problem.draws, same_problem.draws, strict=False):
                counts[start.stage, end.stage] += 1
        return counts / max(counts.sum(), 1.0)


def read_heldout(path: Path) -> tuple[HeldOut | None, list[str]]:
    """The held-out results of a run, and what a reader should know of the file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        heldout = HeldOut(*(tuple(map(_problem_outcome, record.get(when, ()))) for when in ("before", "after")))
        ids = [[p.problem_id for p in problems] for problems in (heldout.before_rl, heldout.after_rl)]
        if heldout.after_rl and ids[0] != ids[1]:
            raise ValueError("before and after hold different problems")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return None, [f"evaluation.json cannot be read ({type(error).__name__}: {error}); it is left out."]
    return (heldout if heldout.before_rl else None), []


def _problem_outcome(record: Mapping[str, Any]) -> ProblemOutcome:
    if not record["draws"]:
        raise ValueError(f"{record['problem_id']} has no programs")
    greedy_passed = record["greedy_passed"]
    return ProblemOutcome(
        problem_id=str(record["problem_id"]),
        difficulty=str(record["difficulty"]),
        tags=tuple(map(str, record["tags"])),
        draws=tuple(map(Outcome, record["draws"])),
        greedy_passed=None if greedy_passed is None else bool(greedy_passed),
        errors={str(kind): int(count) for kind, count in record["errors"].items()},
        tests_passed=None if record.get("tests_passed") is None else float(record["tests_passed"]),
    )
