"""`evaluation.json`: what every held-out program did before and after RL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rltf.report.compare.statistics import Values, pass_at_k
from rltf.types import Outcome

STAGES = ("syntax error", "runtime error", "wrong answer", "passed")
"""How far a program came; timeouts and limits count as runtime errors."""


@dataclass(frozen=True)
class ProblemOutcome:
    """What the programs of one problem did."""

    problem_id: str
    difficulty: str
    tags: tuple[str, ...]
    draws: tuple[str, ...]
    """Outcomes in the order of draws."""
    greedy_passed: bool | None
    errors: Mapping[str, int]
    """Error type -> programs."""

    @property
    def passed(self) -> int:
        """Programs that passed."""
        return self.draws.count(Outcome.PASSED)


@dataclass(frozen=True)
class HeldOut:
    """The same problems and the same seeds, before and after RL."""

    before: tuple[ProblemOutcome, ...]
    after: tuple[ProblemOutcome, ...]
    """Empty for a run that has not finished."""

    def of(self, when: str) -> tuple[ProblemOutcome, ...]:
        """`before` or `after`."""
        return self.before if when == "before" else self.after

    @property
    def draws(self) -> int:
        """Fewest programs that a problem has."""
        return min((len(s.draws) for s in (*self.before, *self.after)), default=0)

    @property
    def has_greedy(self) -> bool:
        """True when every problem has a greedy program, too."""
        return all(s.greedy_passed is not None for s in (*self.before, *self.after))

    def values(self, when: str, measure: str) -> Values:
        """One number a problem; `measure` is `greedy` or `pass@k`."""
        if measure == "greedy":
            return np.array([float(bool(s.greedy_passed)) for s in self.of(when)])
        k = int(measure.removeprefix("pass@"))
        return np.array([pass_at_k(len(s.draws), s.passed, k) for s in self.of(when)])

    def shares(self, when: str, key: Callable[[ProblemOutcome], Iterable[str]]) -> dict[str, tuple[float, int]]:
        """Label -> (share of programs that passed, problems) over the problems to which `key` gives the label."""
        labelled: dict[str, list[ProblemOutcome]] = {}
        for solved in self.of(when):
            for label in key(solved):
                labelled.setdefault(label, []).append(solved)
        return {
            label: (sum(s.passed / len(s.draws) for s in some) / len(some), len(some))
            for label, some in labelled.items()
        }

    def errors(self, when: str) -> dict[str, float]:
        """Error type -> share of programs."""
        counts: Counter[str] = Counter()
        for solved in self.of(when):
            counts.update(solved.errors)
        programs = sum(len(s.draws) for s in self.of(when))
        return {kind: count / programs for kind, count in counts.most_common()}

    def flow(self) -> Values:
        """Share of programs by stage before (row) and after (column), 4 by 4: draw i of a problem has the same random
        stream both times."""
        table = np.zeros((len(STAGES), len(STAGES)))
        for first, second in zip(self.before, self.after, strict=True):
            for start, end in zip(first.draws, second.draws, strict=False):
                table[stage(start), stage(end)] += 1
        return table / max(table.sum(), 1.0)


def stage(outcome: str) -> int:
    """Index into `STAGES`.

    >>> STAGES[stage("timeout")]
    'runtime error'
    """
    return {Outcome.SYNTAX_ERROR: 0, Outcome.WRONG_ANSWER: 2, Outcome.PASSED: 3}.get(Outcome(outcome), 1)


def read_heldout(path: Path) -> tuple[HeldOut | None, list[str]]:
    """The held-out results of a run, and what a reader should know of the file."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        heldout = HeldOut(*(tuple(map(_solved, record.get(when, ()))) for when in ("before", "after")))
        if heldout.after and [s.problem_id for s in heldout.before] != [s.problem_id for s in heldout.after]:
            raise ValueError("before and after hold different problems")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return None, [f"evaluation.json cannot be read ({type(error).__name__}: {error}); it is left out."]
    return (heldout if heldout.before else None), []


def _solved(record: Mapping[str, Any]) -> ProblemOutcome:
    draws: Sequence[str] = tuple(str(Outcome(draw)) for draw in record["draws"])
    if not draws:
        raise ValueError(f"{record['problem_id']} has no programs")
    greedy = record["greedy_passed"]
    return ProblemOutcome(
        str(record["problem_id"]),
        str(record["difficulty"]),
        tuple(map(str, record["tags"])),
        tuple(draws),
        None if greedy is None else bool(greedy),
        {str(kind): int(count) for kind, count in record["errors"].items()},
    )
