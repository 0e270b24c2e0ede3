"""`inference=repair`: the policy repairs its own failed programs, one step a turn (Cobalt, arXiv 2602.03806).

A repair turn is a problem of its own: its prompt reports a failed program and what the judge says of it in front of the
task (`rltf.inference.repair`), and the answer is a whole program, judged by the task's tests. What was drawn in the
turn before is part of the prompt and carries no loss. Token ids of the prompt and the answer are kept, so that training
reads what sampling read and wrote.

In training a share of an iteration's problems are repair turns of failed programs of earlier iterations, each with a
group of programs of its own. In an evaluation every program that fails the example tests is repaired, and pass@k is
that of the programs after the last turn.

How it deviates from the paper:
1. Failed programs are the policy's own of this run, the newest of each problem, and not those of a reference model.
2. The report of a training program has the outcome of all tests, the type, message and line of the error, and no test;
   the paper's has results of public tests. In an evaluation it has what the example tests say.
3. A prompt has the newest program alone, and not the turns before it.
4. Reports are true: the paper's perturbed ones, against policies that trust wrong tests, are left out. The reward is
   the config's, in the place of the paper's sum of correctness, improvement and format.
5. Where the report and the task are longer than `model.max_prompt_tokens` together, the program is not repaired.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from rltf.inference.repair import Failure, repair_prompt
from rltf.inference.search import Candidate, DrawRequest, Search, Task
from rltf.policies.base import Policy
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.rollouts.problem_order import ProblemOrder
from rltf.rollouts.returning_order import ReturningOrder
from rltf.types import Outcome, Problem, Program, Request, Rollout, Sampling, Verdict
from rltf.validation import require

Repair = tuple[tuple[int, ...], int]
"""Token ids of a prompt that reports a failed program, and the turn that it begins, from 1."""


class RepairTurns(Search):
    """Repairs failed programs: those of earlier iterations in training, those that fail the examples in an evaluation.

    Args:
        pipeline: draws and judges programs.
        share: of the problems of a training iteration that are repair turns, as far as there are failed programs.
        pool: problems whose newest failed program waits for a training repair; the oldest are dropped.
        turns: repair turns after the first program; a program that fails the last one is repaired no more.

    Raises:
        OptionError: a number is out of range.
    """

    name = "repair"

    def __init__(self, pipeline: RolloutPipeline, share: float = 0.25, pool: int = 512, turns: int = 1) -> None:
        super().__init__(pipeline)
        require("share", share, above=0, below=1)
        require("pool", pool, at_least=1, whole=True)
        require("turns", turns, at_least=1, whole=True)
        self._share, self._size, self._turns = share, pool, turns
        self._pool: dict[str, Repair] = {}
        """Problem id -> the repair that waits, the newest last."""
        self._due: dict[str, Repair] = {}
        """Problem id -> the repair that the programs to be drawn next are."""
        self._too_long = 0
        self._stride = 0
        """Draw indices of a turn are those of the turn before and this."""

    @override
    def search(
        self, tasks: Sequence[Task], draws: Sequence[int], sampling: Sampling, seed: int
    ) -> list[list[Candidate]]:
        self._stride = max(draws) + 1
        first_requests = [DrawRequest(task, tuple(draws), task.prompt_ids) for task in tasks]
        candidates = self.draw_candidates(first_requests, sampling, seed, "drawn")
        for turn in range(1, self._turns + 1):
            requests = self._repair_requests(tasks, candidates, turn)
            repaired = self.draw_candidates([request for _, request in requests], sampling, seed, "repaired")
            for (index, _), of_request in zip(requests, repaired, strict=True):
                candidates[index] = candidates[index] + of_request
        return candidates

    @override
    def final_candidates(self, candidates: Sequence[Candidate]) -> list[int]:
        """Indices of the programs after the last turn, by the first program's draw."""
        latest = {candidate.program.draw % self._stride: i for i, candidate in enumerate(candidates)}
        return [latest[draw] for draw in sorted(latest)]

    def draw_in_rounds(
        self,
        problems: Sequence[Problem],
        draws: Sequence[int],
        sampling: Sampling,
        seed: int,
        *,
        greedy: bool,
        version: int,
        policy: Policy | None,
    ) -> Iterator[tuple[int, Program]]:
        """Training programs (`MultiRoundSampler`), all in one round: repairs where the problem order chose one, the
        other problems' programs as they are drawn without repair turns."""
        requests = []
        for problem in problems:
            prompt_ids, turn = self._due.pop(problem.id, (self._pipeline.prompt_ids(problem), 0))
            stop = self._pipeline.benchmark.prompt(problem).stop
            requests.append(Request(problem.id, prompt_ids, tuple(draws), greedy, stop=stop, turn=turn))
        return self._pipeline.draw_programs(problems, requests, sampling, seed, version=version, policy=policy)

    def problem_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> ReturningOrder:
        """The order of this rank's training problems, some of which come back to be repaired (`ProblemPlan`)."""
        return ReturningOrder(self, [problem.id for problem in problems], seed, rank, world_size)

    def demonstration_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> ProblemOrder:
        """The order of this rank's demonstrations, all in their turn (`ProblemPlan`)."""
        return ProblemOrder(len(problems), seed, rank, world_size)

    def waiting(self, n: int) -> int:
        """How many of an iteration's `n` problems may be repair turns."""
        return min(round(self._share * n), len(self._pool))

    def choose(self, count: int, others: Sequence[str], rng: random.Random) -> list[str]:
        """Ids of at most `count` problems of the pool that are none of the `others`. Their failed programs leave the
        pool, and the next programs drawn for them are repairs."""
        waiting = [problem_id for problem_id in self._pool if problem_id not in set(others)]
        problem_ids = rng.sample(waiting, min(count, len(waiting)))
        self._due = {problem_id: self._pool.pop(problem_id) for problem_id in problem_ids}
        return problem_ids

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Puts the first sampled program that failed into the pool, in the place of the problem's older one
        (`RolloutMemory`). Where none failed, nothing of the problem waits any more."""
        self._pool.pop(problem.id, None)
        failed = (r for r in rollouts if not r.program.greedy and r.verdict.outcome is not Outcome.PASSED)
        rollout = next(failed, None)
        if rollout is None or rollout.program.turn >= self._turns:
            return
        prompt_ids = self._prompt_ids(problem, rollout.program, rollout.verdict)
        if prompt_ids is None:
            self._too_long += 1
            return
        self._pool[problem.id] = (prompt_ids, rollout.program.turn + 1)
        if len(self._pool) > self._size:
            del self._pool[next(iter(self._pool))]

    def metrics(self) -> dict[str, float]:
        """Failed programs that wait for a repair (`repair/pool`), and those left out so far because their prompt would
        be too long (`repair/too_long`)."""
        return {"repair/pool": float(len(self._pool)), "repair/too_long": float(self._too_long)}

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: the pool."""
        return {
            "pool": [(problem_id, *repair) for problem_id, repair in self._pool.items()],
            "too_long": self._too_long,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._pool = {problem_id: (tuple(prompt_ids), turn) for problem_id, prompt_ids, turn in state["pool"]}
        self._too_long = int(state["too_long"])

    def _repair_requests(
        self, tasks: Sequence[Task], candidates: Sequence[Sequence[Candidate]], turn: int
    ) -> list[tuple[int, DrawRequest]]:
        """(index of a task, repairs of one failed program): one repair for each chain that ends in the program."""
        requests = []
        for index, task in enumerate(tasks):
            draws_of: dict[tuple[int, ...], list[int]] = {}
            for final in self.final_candidates(candidates[index]):
                candidate = candidates[index][final]
                if candidate.examples is None or candidate.passes_examples:
                    continue
                prompt_ids = self._prompt_ids(task.problem, candidate.program, candidate.examples)
                if prompt_ids is not None:
                    chain = candidate.program.draw % self._stride
                    draws_of.setdefault(prompt_ids, []).append(chain + turn * self._stride)
            requests += [(index, DrawRequest(task, tuple(d), ids, turn=turn)) for ids, d in draws_of.items()]
        return requests

    def _prompt_ids(self, problem: Problem, program: Program, verdict: Verdict) -> tuple[int, ...] | None:
        """Token ids of the prompt that reports a failed program; None: it is too long, and would lose the task."""
        policy = self._pipeline.policy
        failure = Failure.from_verdict(program.text, verdict)
        prompt_ids = policy.encode_prompt(repair_prompt(self._pipeline.benchmark.prompt(problem), failure))
        return prompt_ids if len(prompt_ids) < policy.max_prompt_tokens else None
