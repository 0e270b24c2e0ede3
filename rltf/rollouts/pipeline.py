"""Problems in, rollouts out: prompt, sample, extract, judge, reward, baseline. Training, validation and `eval.py` all
go through here. Knows no Lightning.

Sampling and judging overlap: a program goes to the executor the moment its last token is drawn, and its verdict is
collected when somebody harvests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rltf.algorithms.advantages import Advantages
from rltf.algorithms.dynamic_sampling import DynamicSampling
from rltf.benchmarks.base import Benchmark
from rltf.execution.executor import Executor
from rltf.generation.sampler import Sampler
from rltf.policies.base import Policy
from rltf.rewards.base import RewardStack
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.hooks import Critic, Curriculum, Explorer, TokenCredit
from rltf.rollouts.packing import PackedRollout, from_state, to_state
from rltf.types import Job, Problem, Program, Request, Rollout, Sample, Sampling, Verdict


@dataclass(frozen=True, slots=True)
class PendingRollouts:
    """Programs on their way through the sandbox, problem by problem, draws in order (the greedy one first)."""

    groups: tuple[tuple[Problem, tuple[Program, ...], tuple[Future[Verdict], ...]], ...]

    @property
    def programs(self) -> int:
        """How many."""
        return sum(len(programs) for _, programs, _ in self.groups)

    def state_dict(self) -> dict[str, Any]:
        """Waits for the verdicts; what `restore` reads, loadable under `torch.load(weights_only=True)`."""
        return {
            "problems": [problem.id for problem, _, _ in self.groups],
            "sizes": [len(programs) for _, programs, _ in self.groups],
            "judged": to_state(
                [
                    PackedRollout.of(Rollout(program, future.result(), (), 0.0, 0.0, 0.0))
                    for _, programs, futures in self.groups
                    for program, future in zip(programs, futures, strict=True)
                ]
            ),
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any], problems: Mapping[str, Problem]) -> PendingRollouts:
        """The pending programs of a checkpoint, verdicts included.

        Args:
            state: what `state_dict` gave.
            problems: problem id -> problem.
        """
        judged = (packed.rollout() for packed in from_state(state["judged"]))
        groups = []
        for problem_id, size in zip(state["problems"], state["sizes"], strict=True):
            chosen = [next(judged) for _ in range(size)]
            futures: list[Future[Verdict]] = [Future() for _ in chosen]
            for future, rollout in zip(futures, chosen, strict=True):
                future.set_result(rollout.verdict)
            groups.append((problems[problem_id], tuple(r.program for r in chosen), tuple(futures)))
        return cls(tuple(groups))


@dataclass(frozen=True, slots=True)
class JudgedGroup:
    """The programs of one visit to a problem, and what the tests said of them."""

    problem: Problem
    programs: tuple[Program, ...]
    verdicts: tuple[Verdict, ...]

    def triples(self) -> list[tuple[Problem, Program, Verdict]]:
        """Program by program."""
        return [(self.problem, *pair) for pair in zip(self.programs, self.verdicts, strict=True)]

    def to(self, device: object) -> JudgedGroup:
        """Itself: nothing in it lives on a device (Lightning asks)."""
        return self


class RolloutPipeline:
    """Draws programs from a policy and finds out what they are worth.

    Args:
        benchmark: renders prompts and finds programs in answers.
        policy: its present weights are sampled.
        sampler: draws responses.
        executor: judges programs.
        rewards: credits judged programs.
        advantages: compares the programs of a problem.
        clock: phases `generation`, `execution_wait` and `critic` accrue here.
        critic: says how programs will end, for `credit`; None: nobody does.
        credit: weighs single tokens; None: the advantage plus the span credits.
        curriculum: begins training programs; None: the policy writes everything.
        selection: which groups are trained on; None: all.

    `explorer`, if set, finds training programs; without one they are drawn in one round.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        sampler: Sampler,
        executor: Executor,
        rewards: RewardStack,
        advantages: Advantages,
        clock: PhaseClock,
        critic: Critic | None = None,
        credit: TokenCredit | None = None,
        curriculum: Curriculum | None = None,
        selection: DynamicSampling | None = None,
    ) -> None:
        self.benchmark, self.policy, self.sampler, self.executor = benchmark, policy, sampler, executor
        self.rewards, self.advantages, self.clock = rewards, advantages, clock
        self.critic, self.credit, self.curriculum, self.selection = critic, credit, curriculum, selection
        self.explorer: Explorer | None = None
        self._prompts: dict[str, tuple[int, ...]] = {}

    def prompt_ids(self, problem: Problem) -> tuple[int, ...]:
        """The encoded prompt; rendered once per problem."""
        ids = self._prompts.get(problem.id)
        if ids is None:
            ids = self._prompts[problem.id] = self.policy.encode_prompt(self.benchmark.prompt(problem))
        return ids

    def start_rollouts(
        self,
        problems: Sequence[Problem],
        draws: Sequence[int],
        sampling: Sampling,
        seed: int,
        *,
        greedy: bool = False,
        version: int = 0,
        policy: Policy | None = None,
        training: bool = False,
    ) -> PendingRollouts:
        """Samples every problem once per entry of `draws` (and once greedily), and hands the programs to the executor
        as they finish. Returns when the last program is drawn, not when it is judged. `policy` draws in place of the
        pipeline's own. Programs for `training` begin where the curriculum says, and the sandbox looks at them as
        closely as the credit needs."""
        begin = self.curriculum.start if training and self.curriculum is not None else _nothing
        coverage = training and self.credit is not None and self.credit.needs_coverage
        drawn: Iterable[tuple[int, Program]]
        if training and self.explorer is not None:
            drawn = self.explorer.explore(
                problems, draws, sampling, seed, greedy=greedy, version=version, policy=policy
            )
        else:
            requests = [
                Request(p.id, self.prompt_ids(p), tuple(draws), greedy, begin(p), self.benchmark.prompt(p).stop)
                for p in problems
            ]
            drawn = self.draw(problems, requests, sampling, seed, version=version, policy=policy)
        found: list[dict[int, tuple[Program, Future[Verdict]]]] = [{} for _ in problems]
        for index, program in drawn:
            found[index][program.draw] = (program, self.judge(problems[index], program, coverage))
        order = ((-1,) if greedy else ()) + tuple(draws)
        return PendingRollouts(
            tuple(
                (problem, tuple(by_draw[d][0] for d in order), tuple(by_draw[d][1] for d in order))
                for problem, by_draw in zip(problems, found, strict=True)
            )
        )

    def draw(
        self,
        problems: Sequence[Problem],
        requests: Sequence[Request],
        sampling: Sampling,
        seed: int,
        *,
        version: int = 0,
        policy: Policy | None = None,
    ) -> Iterator[tuple[int, Program]]:
        """Programs as they finish, none of them judged.

        Args:
            problems: one a request; a problem may come more than once, with other draws.
            requests: what is drawn.
            sampling: how.
            seed: of the random streams.
            version: optimiser steps behind the weights.
            policy: draws in place of the pipeline's own.

        Yields:
            Index of the request, and a program.
        """
        policy = policy or self.policy
        with self.clock("generation"):
            for sample in self.sampler.sample(policy, requests, sampling, seed):
                at = sample.request
                yield at, self._program(policy, problems[at], requests[at], sample, version)

    def judge(self, problem: Problem, program: Program, coverage: bool = False) -> Future[Verdict]:
        """Starts the tests of one program.

        Raises:
            ValueError: The problem's tests cannot be judged.
        """
        try:
            return self.executor.submit(Job(program.text, problem.tests, problem.setup, coverage=coverage))
        except ValueError as error:
            raise ValueError(f"problem {problem.id}: {error}") from error

    def verdicts(self, pending: PendingRollouts) -> list[JudgedGroup]:
        """Waits for the verdicts; problem by problem, in the order they were launched."""
        with self.clock("execution_wait"):
            return [
                JudgedGroup(problem, programs, tuple(future.result() for future in futures))
                for problem, programs, futures in pending.groups
            ]

    def collect_rollouts(self, pending: PendingRollouts) -> list[list[Rollout]]:
        """Waits for the verdicts and says what the programs are worth: rollouts problem by problem."""
        everything = self.verdicts(pending)
        credits = iter(self.rewards.many([one for judged in everything for one in judged.triples()]))
        groups = []
        for judged in everything:
            group = self.advantages([(program, verdict, next(credits)) for _, program, verdict in judged.triples()])
            if self.curriculum is not None:
                self.curriculum.update(judged.problem, group)
            groups.append(group)
        if self.critic is None and self.credit is None:
            return groups
        rollouts = [rollout for group in groups for rollout in group]
        if self.critic is not None:
            with self.clock("critic"):
                rollouts = self.critic.read(rollouts)
        weighed = iter(rollouts if self.credit is None else self.credit(rollouts))
        return [[next(weighed) for _ in group] for group in groups]

    def metrics(self) -> dict[str, float]:
        """Of the curriculum."""
        return {} if self.curriculum is None else self.curriculum.metrics()

    def state_dict(self) -> dict[str, Any]:
        """Of baselines and curriculum, as plain builtins."""
        curriculum = {} if self.curriculum is None else self.curriculum.state_dict()
        return {"advantages": self.advantages.state_dict(), "curriculum": curriculum}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        self.advantages.load_state_dict(state["advantages"])
        if self.curriculum is not None:
            self.curriculum.load_state_dict(state["curriculum"])

    def _program(self, policy: Policy, problem: Problem, request: Request, sample: Sample, version: int) -> Program:
        text, offsets = policy.decode(request.prefix_ids + sample.token_ids)
        text, offsets = _cut_at_stop(text, offsets, request.stop)
        place = self.benchmark.extract(problem, text)
        shift = len(place.lead) - place.start
        inside = offsets[len(request.prefix_ids) :]
        if shift or place.start or place.end < len(text):
            inside = tuple(  # tokens outside the program keep an empty range at its start or end
                (min(max(a, place.start), place.end) + shift, min(max(b, place.start), place.end) + shift)
                for a, b in inside
            )
        return Program(
            problem_id=problem.id,
            text=place.program(text),
            prompt_ids=request.prompt_ids,
            token_ids=sample.token_ids,
            offsets=inside,
            logprobs=sample.logprobs,
            finish=sample.finish,
            version=version,
            draw=sample.draw,
            greedy=sample.draw == -1,
            prefix_ids=request.prefix_ids,
        )


def _nothing(problem: Problem) -> tuple[int, ...]:
    return ()


def _cut_at_stop(
    text: str, offsets: tuple[tuple[int, int], ...], stop: tuple[str, ...]
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Text up to the first stop string; tokens beyond it keep an empty range at its end."""
    found = [at for s in stop if (at := text.find(s)) >= 0]
    if not found:
        return text, offsets
    end = min(found)
    return text[:end], tuple((min(a, end), min(b, end)) for a, b in offsets)
