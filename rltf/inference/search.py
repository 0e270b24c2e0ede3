"""A search at test time: it may run example tests, and never sees another one.

That is by construction. A search is given `Task`s, whose problem holds the example tests and neither hidden tests nor
references; all tests judge what it found, after it has ended."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from rltf.inference.base import Inference
from rltf.inference.results import SearchResult
from rltf.policies.base import Policy
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.types import Outcome, Problem, Program, Request, Sampling, Verdict

Stage = Literal["drawn", "refined", "repaired"]
STAGES: tuple[Stage, ...] = ("drawn", "refined", "repaired")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program of a search."""

    program: Program
    logprob: float
    """Mean over its tokens, those included that it was given."""
    examples: Verdict | None
    """What the example tests said; None: the problem has none."""
    stage: Stage

    @property
    def passes(self) -> bool:
        """It passes all example tests, and there are some."""
        return self.examples is not None and self.examples.outcome is Outcome.PASSED


@dataclass(frozen=True, slots=True)
class Task:
    """A problem as a search sees it."""

    problem: Problem
    """Its tests are the examples alone; it has no references and no demonstrations."""
    prompt_ids: tuple[int, ...]
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """Programs that a search wants drawn."""

    task: Task
    draws: tuple[int, ...]
    prompt_ids: tuple[int, ...]
    prefix_ids: tuple[int, ...] = ()
    prefix_logprobs: tuple[float, ...] = ()
    """Of the prefix's tokens, as they were drawn."""


class Search(Inference):
    """A subclass says which programs to draw, round after round.

    Args:
        pipeline: draws and judges.
    """

    def __init__(self, pipeline: RolloutPipeline) -> None:
        super().__init__(pipeline)
        self._found: dict[str, list[Candidate]] = {}

    @abstractmethod
    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        """Programs of each task: one for each entry of `draws`, in that order, and those of a second round."""

    def start_rollouts(
        self, problems: Sequence[Problem], draws: Sequence[int], sampling: Sampling, seed: int, *, greedy: bool = False
    ) -> PendingRollouts:
        """Searches, and then lets all tests judge what was found.

        Raises:
            ValueError: nothing is to be drawn but greedy programs.
        """
        if not draws:
            raise ValueError(f"inference={self.name} chooses among programs: expected evaluation.temperature above 0")
        tasks = [self._task(problem) for problem in problems]
        firsts = dict(self._greedy(problems, tasks, sampling, seed)) if greedy else {}
        groups = []
        for at, (problem, drafts) in enumerate(zip(problems, self.search(tasks, draws, sampling, seed), strict=True)):
            self._found[problem.id] = drafts
            programs = (*((firsts[at],) if greedy else ()), *(draft.program for draft in drafts))
            groups.append((problem, programs, tuple(self._pipeline.judge(problem, p) for p in programs)))
        return PendingRollouts(tuple(groups))

    def finish_problem(self, judged: JudgedGroup) -> JudgedGroup:
        """The programs of the last round, and the greedy one."""
        drafts = self._found.pop(judged.problem.id)
        before = len(judged.programs) - len(drafts)
        passed = [verdict.outcome is Outcome.PASSED for verdict in judged.verdicts[before:]]
        rounds = {stage: [i for i, draft in enumerate(drafts) if draft.stage == stage] for stage in STAGES}
        final = [*rounds["refined"], *rounds["repaired"]] or rounds["drawn"]
        self.results.append(
            SearchResult(
                judged.problem.id,
                first=tuple(passed[i] for i in rounds["drawn"]),
                final=tuple(passed[i] for i in final),
                programs={stage: len(chosen) for stage, chosen in rounds.items()},
                tokens={s: sum(len(drafts[i].program.token_ids) for i in chosen) for s, chosen in rounds.items()},
                submitted=tuple(passed[i] for i in submissions(drafts)),
                examples=drafts[0].examples is not None,
            )
        )
        kept = [*range(before), *(before + i for i in final)]
        return JudgedGroup(
            judged.problem, tuple(judged.programs[i] for i in kept), tuple(judged.verdicts[i] for i in kept)
        )

    def draw(
        self,
        wishes: Sequence[DrawRequest],
        sampling: Sampling,
        seed: int,
        stage: Stage,
        policy: Policy | None = None,
        version: int = 0,
    ) -> list[list[Candidate]]:
        """Programs of each wish in the order of its draws, tried on the example tests while others are drawn."""
        requests = [
            Request(w.task.problem.id, w.prompt_ids, w.draws, prefix_ids=w.prefix_ids, stop=w.task.stop) for w in wishes
        ]
        found: list[dict[int, tuple[Program, Future[Verdict] | None]]] = [{} for _ in wishes]
        problems = [wish.task.problem for wish in wishes]
        programs = self._pipeline.draw_programs(problems, requests, sampling, seed, version=version, policy=policy)
        for at, program in programs:
            tried = self._pipeline.judge(problems[at], program) if problems[at].tests else None
            found[at][program.draw] = (program, tried)
        with self._pipeline.clock("execution_wait"):
            return [
                [_draft(wish, *by_draw[draw], stage) for draw in wish.draws]
                for wish, by_draw in zip(wishes, found, strict=True)
            ]

    def _greedy(
        self,
        problems: Sequence[Problem],
        tasks: Sequence[Task],
        sampling: Sampling,
        seed: int,
        policy: Policy | None = None,
        version: int = 0,
    ) -> Iterator[tuple[int, Program]]:
        """The greedy program of each problem, which takes part in no search."""
        wanted = [Request(t.problem.id, t.prompt_ids, (), greedy=True, stop=t.stop) for t in tasks]
        return self._pipeline.draw_programs(problems, wanted, sampling, seed, version=version, policy=policy)

    def _task(self, problem: Problem) -> Task:
        benchmark = self._pipeline.benchmark
        shown = replace(problem, tests=benchmark.examples(problem), references=(), demonstrations=())
        return Task(shown, self._pipeline.prompt_ids(problem), benchmark.prompt(problem).stop)


def submissions(drafts: Sequence[Candidate]) -> list[int]:
    """Indices of the programs in the order in which one would submit them: those that pass more example tests first,
    then those of a higher mean log-prob. No text comes twice."""

    def rank(i: int) -> tuple[float, float]:
        examples = drafts[i].examples
        return (0.0 if examples is None else -examples.share, -drafts[i].logprob)

    by_text: dict[str, int] = {}
    for i in sorted(range(len(drafts)), key=rank):
        by_text.setdefault(drafts[i].program.text, i)
    return list(by_text.values())


def _draft(wish: DrawRequest, program: Program, tried: Future[Verdict] | None, stage: Stage) -> Candidate:
    logprobs = wish.prefix_logprobs + program.logprobs
    return Candidate(program, fmean(logprobs or (0.0,)), None if tried is None else tried.result(), stage)
