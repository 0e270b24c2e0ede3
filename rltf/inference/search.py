"""Searches at test time, which may run example tests and cannot see any other test.

That is by construction: a search gets `Task`s, whose problem holds the example tests and neither hidden tests nor
references; all tests judge its programs after it has ended."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from typing_extensions import override

from rltf.inference.base import Inference
from rltf.inference.results import SearchResult
from rltf.policies.base import Policy
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Outcome, Problem, Program, Request, Sampling, Verdict

SearchRound = Literal["drawn", "refined", "repaired"]
ROUNDS: tuple[SearchRound, ...] = ("drawn", "refined", "repaired")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program of a search."""

    program: Program
    logprob: float
    """Mean over the program's tokens, including those of its prefix."""
    examples: Verdict | None
    """Verdict of the example tests; None: the problem has none, or they could not be judged."""
    round_name: SearchRound
    match: float | None = None
    """How well it matches the problem's text (`inference.score=match`), which then ranks it in place of `logprob`."""

    @property
    def passes_examples(self) -> bool:
        """True when it passes all example tests, and there are some."""
        return self.examples is not None and self.examples.outcome is Outcome.PASSED


@dataclass(frozen=True, slots=True)
class Task:
    """A problem as a search sees it."""

    problem: Problem
    """Its tests are the examples alone; it has no references and no demonstrations."""
    prompt_ids: tuple[int, ...]
    stop: tuple[str, ...]
    """Stop strings of the prompt."""


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """Programs to draw for one task from one prompt and prefix."""

    task: Task
    draws: tuple[int, ...]
    """Draw indices, one per program."""
    prompt_ids: tuple[int, ...]
    """The task's prompt, or one that a repair model reads."""
    prefix_ids: tuple[int, ...] = ()
    """First tokens of every program, taken from an earlier candidate."""
    prefix_logprobs: tuple[float, ...] = ()
    """Log-probs of the prefix's tokens in that candidate."""
    turn: int = 0
    """0: the prompt is the task; 1 and up: it reports a failed program of the turn before."""


class Search(Inference):
    """A search in rounds; a subclass chooses which programs each round draws.

    Args:
        pipeline: draws and judges programs.
    """

    def __init__(self, pipeline: RolloutPipeline) -> None:
        super().__init__(pipeline)
        self._candidates: dict[str, list[Candidate]] = {}
        """Problem id -> programs of a search that has ended and is being judged."""

    @abstractmethod
    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        """Candidates of each task: one for each entry of `draws`, in that order, then those of later rounds.

        Args:
            tasks: the problems to solve.
            draws: draw indices of the first round.
            sampling: distribution of the programs.
            seed: of the random streams.
        """

    @override
    def start_rollouts(
        self, problems: Sequence[Problem], draws: Sequence[int], sampling: Sampling, seed: int, *, greedy: bool = False
    ) -> PendingRollouts:
        if not draws:
            raise ValueError(f"inference={self.name} chooses among programs: expected evaluation.temperature above 0")
        tasks = [self._task(problem) for problem in problems]
        greedy_programs = dict(self._draw_greedy(problems, tasks, sampling, seed)) if greedy else {}
        groups = []
        candidates_of_problems = zip(problems, self.search(tasks, draws, sampling, seed), strict=True)
        for index, (problem, candidates) in enumerate(candidates_of_problems):
            self._candidates[problem.id] = candidates
            programs = (*((greedy_programs[index],) if greedy else ()), *(c.program for c in candidates))
            groups.append((problem, programs, tuple(self._pipeline.judge(problem, p) for p in programs)))
        return PendingRollouts(tuple(groups))

    @override
    def finish_problem(self, judged: JudgedGroup) -> JudgedGroup:
        candidates = self._candidates.pop(judged.problem.id)
        greedy_count = len(judged.programs) - len(candidates)
        passed = [verdict.outcome is Outcome.PASSED for verdict in judged.verdicts[greedy_count:]]
        by_round = {name: [i for i, c in enumerate(candidates) if c.round_name == name] for name in ROUNDS}
        last_round = self.final_candidates(candidates)
        self.results.append(
            SearchResult(
                judged.problem.id,
                first_round=tuple(passed[i] for i in by_round["drawn"]),
                last_round=tuple(passed[i] for i in last_round),
                programs={name: len(indices) for name, indices in by_round.items()},
                tokens={n: sum(len(candidates[i].program.token_ids) for i in ids) for n, ids in by_round.items()},
                submissions=tuple(passed[i] for i in submission_order(candidates)),
                has_examples=candidates[0].examples is not None,
            )
        )
        program_indices = [*range(greedy_count), *(greedy_count + i for i in last_round)]
        return JudgedGroup(
            judged.problem,
            tuple(judged.programs[i] for i in program_indices),
            tuple(judged.verdicts[i] for i in program_indices),
        )

    def final_candidates(self, candidates: Sequence[Candidate]) -> list[int]:
        """Indices of one problem's programs that pass@k is computed from: those of the last round."""
        last_round = [i for i, candidate in enumerate(candidates) if candidate.round_name != "drawn"]
        return last_round or list(range(len(candidates)))

    def draw_candidates(
        self,
        requests: Sequence[DrawRequest],
        sampling: Sampling,
        seed: int,
        round_name: SearchRound,
        policy: Policy | None = None,
        version: int = 0,
    ) -> list[list[Candidate]]:
        """Candidates of each request in the order of its draws. The example tests of a program run while other programs
        are drawn.

        Args:
            requests: programs to draw.
            sampling: distribution of the programs.
            seed: of the random streams.
            round_name: the round that they belong to.
            policy: policy to sample; None: the pipeline's own.
            version: optimiser steps that had made its weights.
        """
        pipeline_requests = [
            Request(r.task.problem.id, r.prompt_ids, r.draws, prefix_ids=r.prefix_ids, stop=r.task.stop, turn=r.turn)
            for r in requests
        ]
        problems = [request.task.problem for request in requests]
        by_draw: list[dict[int, tuple[Program, Future[Verdict] | None]]] = [{} for _ in requests]
        programs = self._pipeline.draw_programs(
            problems, pipeline_requests, sampling, seed, version=version, policy=policy
        )
        for index, program in programs:
            examples = self._pipeline.judge(problems[index], program) if problems[index].tests else None
            by_draw[index][program.draw] = (program, examples)
        with self._pipeline.clock("execution_wait"):
            return [
                [_candidate(request, *programs_of[draw], round_name) for draw in request.draws]
                for request, programs_of in zip(requests, by_draw, strict=True)
            ]

    def _draw_greedy(
        self,
        problems: Sequence[Problem],
        tasks: Sequence[Task],
        sampling: Sampling,
        seed: int,
        policy: Policy | None = None,
        version: int = 0,
    ) -> Iterator[tuple[int, Program]]:
        """Pairs of the index of a problem and its greedy program."""
        requests = [Request(t.problem.id, t.prompt_ids, (), greedy=True, stop=t.stop) for t in tasks]
        return self._pipeline.draw_programs(problems, requests, sampling, seed, version=version, policy=policy)

    def _task(self, problem: Problem) -> Task:
        benchmark = self._pipeline.benchmark
        visible = replace(problem, tests=benchmark.examples(problem), references=(), demonstrations=())
        return Task(visible, self._pipeline.prompt_ids(problem), benchmark.prompt(problem).stop)


def submission_order(candidates: Sequence[Candidate]) -> list[int]:
    """Indices of the candidates in the order of submission: by the share of example tests passed, then by match or mean
    log-prob. Of equal texts only the first is submitted."""

    def rank(i: int) -> tuple[float, float]:
        examples, match = candidates[i].examples, candidates[i].match
        score = candidates[i].logprob if match is None else match
        return (0.0 if examples is None else -examples.passed_share, -score)

    by_text: dict[str, int] = {}
    for i in sorted(range(len(candidates)), key=rank):
        by_text.setdefault(candidates[i].program.text, i)
    return list(by_text.values())


def _candidate(
    request: DrawRequest, program: Program, examples: Future[Verdict] | None, round_name: SearchRound
) -> Candidate:
    """Waits for the verdict of the example tests."""
    logprobs = request.prefix_logprobs + program.logprobs
    verdict = None if examples is None else examples.result()
    if verdict is not None and verdict.unjudgeable:
        verdict = None
    return Candidate(program, fmean(logprobs or (0.0,)), verdict, round_name)
