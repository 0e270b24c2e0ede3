"""An evaluation: pass@k with intervals, outcomes and error sub-types, overall, by difficulty and by construct tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch.distributed as dist
from torch import nn

from rltf.metrics.intervals import bootstrap_interval
from rltf.metrics.pass_at_k import PassAtK, pass_at_k
from rltf.types import Outcome, Problem, Program, Verdict


@dataclass(frozen=True, slots=True)
class ProblemResult:
    """What happened to the programs of one problem."""

    problem_id: str
    difficulty: str
    tags: tuple[str, ...]
    drawn: int
    passed: int
    outcomes: dict[str, int]
    errors: dict[str, int]
    """Error type -> programs."""
    greedy_passed: bool | None
    """None when no greedy program was drawn."""
    draws: tuple[str, ...] = ()
    """Outcome of each program, in the order of draws: the same seeds draw before and after RL."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Results over all problems of all ranks."""

    problems: tuple[ProblemResult, ...]
    pass_at_k: dict[int, float]
    intervals: dict[int, tuple[float, float]]
    """95 % bootstrap over problems."""

    @property
    def ks(self) -> tuple[int, ...]:
        """Values of k."""
        return tuple(self.pass_at_k)

    @property
    def greedy_pass_at_1(self) -> float | None:
        """Share of problems whose greedy program passes; None when none was drawn."""
        greedy = [r.greedy_passed for r in self.problems if r.greedy_passed is not None]
        return fmean(greedy) if greedy else None

    def outcomes(self) -> dict[str, int]:
        """Outcome -> sampled programs, worst first."""
        counts = _sum(r.outcomes for r in self.problems)
        return {str(o): counts[o] for o in Outcome if counts[o]}

    def errors(self) -> dict[str, int]:
        """Error type -> sampled programs, the most frequent first."""
        return dict(_sum(r.errors for r in self.problems).most_common())

    def by_difficulty(self) -> dict[str, dict[int, float]]:
        """pass@k of the problems of each difficulty."""
        names = list(dict.fromkeys(r.difficulty for r in self.problems if r.difficulty))
        return {name: self._of(r for r in self.problems if r.difficulty == name) for name in names}

    def by_tag(self) -> dict[str, dict[int, float]]:
        """pass@k of the problems that carry each tag."""
        names = sorted({tag for r in self.problems for tag in r.tags})
        return {name: self._of(r for r in self.problems if name in r.tags) for name in names}

    def metrics(self) -> dict[str, float]:
        """Flat scalars for loggers."""
        programs = sum(r.drawn for r in self.problems)
        greedy = self.greedy_pass_at_1
        return {
            **{f"pass@{k}": value for k, value in self.pass_at_k.items()},
            **({"greedy_pass@1": greedy} if greedy is not None else {}),
            **{f"outcome/{name}": count / programs for name, count in self.outcomes().items()},
        }

    def _of(self, results: Iterable[ProblemResult]) -> dict[int, float]:
        chosen = list(results)
        return {k: fmean(pass_at_k(r.drawn, r.passed, k) for r in chosen) for k in self.ks}


class Evaluation(nn.Module):
    """Collects verdicts; exact under DDP: sums are reduced, per-problem results gathered.

    Args:
        ks: of pass@k; those above the number of programs drawn are left out of the result.
    """

    def __init__(self, ks: Sequence[int]) -> None:
        super().__init__()
        self.metrics = nn.ModuleDict({str(k): PassAtK(k) for k in ks})
        self._results: list[ProblemResult] = []

    def reset(self) -> None:
        """Forgets everything."""
        self._results.clear()
        for metric in self.metrics.values():
            metric.reset()  # type: ignore[operator]

    def update(self, problem: Problem, programs: Sequence[Program], verdicts: Sequence[Verdict]) -> None:
        """Counts the verdicts of one problem. The greedy program counts for `greedy_pass@1`, and for pass@k only when
        nothing was sampled."""
        greedy = [v for p, v in zip(programs, verdicts, strict=True) if p.greedy]
        sampled = [v for p, v in zip(programs, verdicts, strict=True) if not p.greedy] or greedy
        passed = sum(v.outcome is Outcome.PASSED for v in sampled)
        for k, metric in self.metrics.items():
            if int(k) <= len(sampled):
                metric.update([len(sampled)], [passed])  # type: ignore[operator]
        self._results.append(
            ProblemResult(
                problem.id,
                problem.difficulty,
                problem.tags,
                len(sampled),
                passed,
                dict(Counter(str(v.outcome) for v in sampled)),
                dict(Counter(v.error.type for v in sampled if v.error is not None)),
                greedy[0].outcome is Outcome.PASSED if greedy else None,
                tuple(str(v.outcome) for v in sampled),
            )
        )

    def compute(self) -> EvaluationResult:
        """The result over all ranks; every rank must call it.

        Raises:
            ValueError: no problem was evaluated.
        """
        results = _gather(self._results)
        if not results:
            raise ValueError("evaluation.problems: no problem was evaluated")
        drawn = min(r.drawn for r in results)
        ks = [int(k) for k in self.metrics if int(k) <= drawn]
        return EvaluationResult(
            problems=tuple(results),
            pass_at_k={k: float(self.metrics[str(k)].compute()) for k in ks},  # type: ignore[operator]
            intervals={k: bootstrap_interval([pass_at_k(r.drawn, r.passed, k) for r in results]) for k in ks},
        )


def _gather(mine: list[ProblemResult]) -> list[ProblemResult]:
    """Results of all ranks, ordered by problem as one process would have them."""
    if not (dist.is_available() and dist.is_initialized()):
        return list(mine)
    everyone: list[list[ProblemResult]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(everyone, mine)
    longest = max(map(len, everyone))
    return [results[i] for i in range(longest) for results in everyone if i < len(results)]


def _sum(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total
