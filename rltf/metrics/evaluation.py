"""An evaluation: pass@k with intervals, outcomes and error sub-types, overall, by difficulty and by construct tag."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch.distributed as dist
from torch import nn

from rltf.metrics.intervals import bootstrap_interval
from rltf.metrics.mean_pass_at_k import MeanPassAtK
from rltf.metrics.pass_at_k import pass_at_k
from rltf.types import Outcome, Problem, Program, Verdict


@dataclass(frozen=True, slots=True)
class ProblemResult:
    """Outcomes of the sampled programs of one problem, and whether its greedy program passed."""

    problem_id: str
    difficulty: str
    tags: tuple[str, ...]
    samples: int
    """Sampled programs."""
    passed: int
    """Sampled programs that passed."""
    outcomes: dict[str, int]
    """Outcome -> programs."""
    errors: dict[str, int]
    """Error type -> programs."""
    greedy_passed: bool | None
    """None when no greedy program was drawn."""
    draws: tuple[str, ...] = ()
    """Outcome of each program, in the order of draws: the same seeds draw before and after RL."""
    tests_passed: float | None = None
    """Mean share of tests that a sampled program passed; None where no program could be judged."""


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Results over all problems of all ranks."""

    problems: tuple[ProblemResult, ...]
    pass_at_k: dict[int, float]
    intervals: dict[int, tuple[float, float]]
    """95 % bootstrap over problems."""

    @property
    def ks(self) -> tuple[int, ...]:
        """The k of every `pass_at_k`."""
        return tuple(self.pass_at_k)

    @property
    def greedy_pass_at_1(self) -> float | None:
        """Share of problems whose greedy program passes; None when none was drawn."""
        greedy = [r.greedy_passed for r in self.problems if r.greedy_passed is not None]
        return fmean(greedy) if greedy else None

    @property
    def tests_passed(self) -> float | None:
        """Share of tests that a sampled program passes, mean over problems; None when no program could be judged."""
        shares = [r.tests_passed for r in self.problems if r.tests_passed is not None]
        return fmean(shares) if shares else None

    def outcomes(self) -> dict[str, int]:
        """Outcome -> sampled programs, worst first."""
        counts = _sum_counts(r.outcomes for r in self.problems)
        return {str(o): counts[o] for o in Outcome if counts[o]}

    def errors(self) -> dict[str, int]:
        """Error type -> sampled programs, the most frequent first."""
        return dict(_sum_counts(r.errors for r in self.problems).most_common())

    def by_difficulty(self) -> dict[str, dict[int, float]]:
        """pass@k of the problems of each difficulty."""
        names = list(dict.fromkeys(r.difficulty for r in self.problems if r.difficulty))
        return {name: self._mean_pass_at_k(r for r in self.problems if r.difficulty == name) for name in names}

    def by_tag(self) -> dict[str, dict[int, float]]:
        """pass@k of the problems that carry each tag."""
        names = sorted({tag for r in self.problems for tag in r.tags})
        return {name: self._mean_pass_at_k(r for r in self.problems if name in r.tags) for name in names}

    def metrics(self) -> dict[str, float]:
        """Metric name -> value, for loggers."""
        programs = sum(r.samples for r in self.problems)
        greedy, tests_passed = self.greedy_pass_at_1, self.tests_passed
        return {
            **{f"pass@{k}": value for k, value in self.pass_at_k.items()},
            **({"greedy_pass@1": greedy} if greedy is not None else {}),
            **({"tests_passed": tests_passed} if tests_passed is not None else {}),
            **{f"outcome/{name}": count / programs for name, count in self.outcomes().items()},
        }

    def _mean_pass_at_k(self, subset: Iterable[ProblemResult]) -> dict[int, float]:
        problems = list(subset)
        return {k: fmean(pass_at_k(r.samples, r.passed, k) for r in problems) for k in self.ks}


class Evaluation(nn.Module):
    """Collects verdicts; exact under DDP: sums are reduced, per-problem results gathered.

    Args:
        ks: every k of pass@k; those above the number of programs drawn are left out of the result.
    """

    def __init__(self, ks: Sequence[int]) -> None:
        super().__init__()
        self.metrics = nn.ModuleDict({str(k): MeanPassAtK(k) for k in ks})
        self._problems: list[ProblemResult] = []

    def reset(self) -> None:
        """Drops all collected verdicts."""
        self._problems.clear()
        for metric in self.metrics.values():
            metric.reset()  # type: ignore[operator]

    def update(self, problem: Problem, programs: Sequence[Program], verdicts: Sequence[Verdict]) -> None:
        """Counts the verdicts of one problem. The greedy program counts for `greedy_pass@1`, and for pass@k only when
        nothing was sampled. A program that could not be judged has not passed; `outcomes` counts it."""
        greedy = [v for p, v in zip(programs, verdicts, strict=True) if p.greedy]
        sampled = [v for p, v in zip(programs, verdicts, strict=True) if not p.greedy] or greedy
        shares = [v.passed_share for v in sampled if not v.unjudgeable]
        passed = sum(v.outcome is Outcome.PASSED for v in sampled)
        for k, metric in self.metrics.items():
            if int(k) <= len(sampled):
                metric.update([len(sampled)], [passed])  # type: ignore[operator]
        self._problems.append(
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
                fmean(shares) if shares else None,
            )
        )

    def compute(self) -> EvaluationResult:
        """The result over all ranks; every rank must call it.

        Raises:
            ValueError: no problem was evaluated.
        """
        problems = _gather_problems(self._problems)
        if not problems:
            raise ValueError("evaluation.problems: no problem was evaluated")
        fewest_samples = min(r.samples for r in problems)
        ks = [int(k) for k in self.metrics if int(k) <= fewest_samples]
        return EvaluationResult(
            problems=tuple(problems),
            pass_at_k={k: float(self.metrics[str(k)].compute()) for k in ks},  # type: ignore[operator]
            intervals={k: bootstrap_interval([pass_at_k(r.samples, r.passed, k) for r in problems]) for k in ks},
        )


def _gather_problems(rank_problems: list[ProblemResult]) -> list[ProblemResult]:
    """Results of all ranks, ordered by problem as one process would have them."""
    if not (dist.is_available() and dist.is_initialized()):
        return list(rank_problems)
    by_rank: list[list[ProblemResult]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(by_rank, rank_problems)
    longest = max(map(len, by_rank))
    return [problems[i] for i in range(longest) for problems in by_rank if i < len(problems)]


def _sum_counts(counts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return total
