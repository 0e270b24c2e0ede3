"""What one policy fixes and breaks against another, problem by problem.

The exact test of McNemar 1947: of the problems that only one of two policies passes, half would be each one's if they
were equally good. Holm 1979 corrects for a test by construct each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

from rltf.report.read.evaluation import ProblemOutcome


@dataclass(frozen=True)
class Flips:
    """Problems by whether each of two policies passes them."""

    fixed: tuple[str, ...]
    """Ids of the problems that the second alone passes."""
    broken: tuple[str, ...]
    """Ids of those that the first alone passes."""
    both_passed: int
    both_failed: int

    @property
    def problems(self) -> int:
        """Number of problems."""
        return len(self.fixed) + len(self.broken) + self.both_passed + self.both_failed

    @property
    def p_value(self) -> float:
        """Of McNemar's exact test."""
        return mcnemar(len(self.fixed), len(self.broken))

    @property
    def shares(self) -> tuple[float, float]:
        """Share of problems that the first and the second policy pass."""
        first = (self.both_passed + len(self.broken)) / self.problems
        return first, (self.both_passed + len(self.fixed)) / self.problems


def mcnemar(fixed: int, broken: int) -> float:
    """Two-sided p value of McNemar's exact test: how often as unequal a split of the flips comes from fair coins.

    Example:
        >>> round(mcnemar(12, 3), 6), mcnemar(5, 0), mcnemar(3, 3)
        (0.035156, 0.0625, 1.0)
    """
    flips = fixed + broken
    tail = sum(comb(flips, i) for i in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / 2**flips)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number, by Holm's step-down method, in the order given.

    Example:
        >>> holm([0.01, 0.02, 0.04])
        [0.03, 0.04, 0.04]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def passes(problem: ProblemOutcome) -> bool:
    """True if the greedy program passed; without one, if more than half of the draws did."""
    return 2 * problem.passed > len(problem.draws) if problem.greedy_passed is None else problem.greedy_passed


def count_flips(first: Sequence[ProblemOutcome], second: Sequence[ProblemOutcome]) -> Flips:
    """The flips between two policies, over the problems that both were evaluated on."""
    second_passes = {problem.problem_id: passes(problem) for problem in second}
    ids: dict[tuple[bool, bool], list[str]] = defaultdict(list)
    """(whether the first policy passes, whether the second does) -> problem ids."""
    for problem in first:
        if problem.problem_id in second_passes:
            ids[passes(problem), second_passes[problem.problem_id]].append(problem.problem_id)
    return Flips(
        fixed=tuple(ids[False, True]),
        broken=tuple(ids[True, False]),
        both_passed=len(ids[True, True]),
        both_failed=len(ids[False, False]),
    )


def flips_by_label(
    first: Sequence[ProblemOutcome],
    second: Sequence[ProblemOutcome],
    labels: Callable[[ProblemOutcome], Iterable[str]],
) -> Mapping[str, Flips]:
    """Label -> the flips of the problems that carry it; labels without a problem of both are left out."""
    labelled: dict[str, list[ProblemOutcome]] = {}
    for problem in first:
        for label in labels(problem):
            labelled.setdefault(label, []).append(problem)
    flips = {label: count_flips(problems, second) for label, problems in sorted(labelled.items())}
    return {label: of_label for label, of_label in flips.items() if of_label.problems}
