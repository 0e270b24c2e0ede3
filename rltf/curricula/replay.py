"""Curriculum of own prefixes: replay until about half of a group passes (prefix sampling, arXiv 2605.05112).

A group of programs that all pass or all fail teaches nothing; one of which half pass teaches most. So a problem most of
whose programs failed comes back soon, and its programs then begin with a prefix of an own program that passed (a head
start); one most of whose programs passed comes back with a prefix of an own program that failed (a handicap). The
prefix is context and carries no loss. It is a part of the tokens as they were drawn, so nothing is encoded anew.

A problem comes back with a `lead`, which begins at 0 for a group that was written whole:

    lead <- clip(lead + gain * (target - share that passed), -longest, longest)

and the prefix has |lead| of the tokens of the newest program of that kind. It comes back until the share that passes is
`within` of the target, at most `tries` times.

How it deviates from the paper, whose sections on control were not at hand:
1. The rule of the lead is ours; the paper says that direction and length follow the pass rate of the group.
2. The program that is replayed is the newest one that passed (failed), of several the first drawn. Programs that the
   length limit cut are not replayed. What is replayed may be older than the group that called for it.
3. Replayed groups take the place of others, so that an iteration has as many programs as without.
4. Where a model's context is bounded, a prefix leaves room for the prompt and for `new_tokens`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.rollouts.problem_order import ProblemOrder
from rltf.rollouts.returning_order import ReturningOrder
from rltf.types import FinishReason, Outcome, Problem, Rollout
from rltf.validation import require

Ids = tuple[int, ...]
Replay = tuple[Ids, float, int]
"""Prefix of a problem that comes back, its lead, and how often it has come back then."""
_WHOLE: Replay = ((), 0.0, 0)


class PrefixReplay:
    """Brings problems back whose groups were too hard or too easy, behind prefixes of the policy's own programs.

    Args:
        benchmark: writes prompts.
        policy: encodes prompts; bounds the tokens of prompt and program.
        share: of an iteration's problems that come back, as far as some wait.
        target: share of a group's programs that is to pass.
        within: how far from the target is near enough.
        gain: share of a program's tokens by which the prefix grows when the share that passes is 1 too low.
        longest: most of a program that is replayed, as a share of its tokens.
        tries: times that a problem comes back at most, until it has its turn again.
        handicap: problems that are too easy come back, too.
        pool: problems that wait at most; the oldest are dropped.
        new_tokens: most tokens that are drawn after a prefix.

    Raises:
        OptionError: an argument is out of range.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        share: float = 0.5,
        target: float = 0.5,
        within: float = 0.25,
        gain: float = 1.0,
        longest: float = 0.9,
        tries: int = 3,
        handicap: bool = True,
        pool: int = 512,
        new_tokens: int = 512,
    ) -> None:
        require("share", share, above=0, below=1)
        require("target", target, above=0, below=1)
        require("within", within, at_least=0, below=min(target, 1 - target))
        require("gain", gain, above=0, at_most=2)
        require("longest", longest, above=0, below=1)
        require("handicap", handicap, choices=(True, False))
        for key, value in (("tries", tries), ("pool", pool), ("new_tokens", new_tokens)):
            require(key, value, at_least=1, whole=True)
        self._benchmark, self._policy = benchmark, policy
        self._share, self._target, self._within = share, target, within
        self._gain, self._longest, self._tries = gain, longest, tries
        self._handicap, self._size, self._new_tokens = handicap, pool, new_tokens
        self._passed: dict[str, Ids] = {}
        """Problem id -> tokens of its newest program that passed, the last one left out."""
        self._failed: dict[str, Ids] = {}
        """The same of one that failed."""
        self._pool: dict[str, Replay] = {}
        """Id of a problem that waits -> its replay, the newest last."""
        self._drawn: dict[str, Replay] = {}
        """Id of a problem that came back -> its replay, whose programs are still to be judged."""
        self._due: dict[str, Ids] = {}
        """Id of a problem that comes back now -> prefix of the programs to be drawn next."""
        self._unmet = 0

    def prefix_ids(self, problem: Problem) -> Ids:
        """The prefix of the problem's next programs; empty: they are written whole (`Curriculum`)."""
        return self._due.pop(problem.id, ())

    def problem_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> ReturningOrder:
        """The order of this rank's training problems, some of which come back (`ProblemPlan`)."""
        return ReturningOrder(self, [problem.id for problem in problems], seed, rank, world_size)

    def demonstration_order(self, problems: Sequence[Problem], seed: int, rank: int, world_size: int) -> ProblemOrder:
        """The order of this rank's demonstrations, all in their turn (`ProblemPlan`)."""
        return ProblemOrder(len(problems), seed, rank, world_size)

    def waiting(self, n: int) -> int:
        """How many of an iteration's `n` problems may be ones that come back."""
        return min(round(self._share * n), len(self._pool))

    def choose(self, count: int, others: Sequence[str], rng: random.Random) -> list[str]:
        """Ids of at most `count` problems that wait and are none of the `others`, the newest first; the next programs
        drawn for them begin with their prefix."""
        problem_ids = [problem_id for problem_id in reversed(self._pool) if problem_id not in set(others)][:count]
        self._due = {problem_id: self._pool[problem_id][0] for problem_id in problem_ids}
        self._drawn |= {problem_id: self._pool.pop(problem_id) for problem_id in problem_ids}
        return problem_ids

    def update(self, problem: Problem, rollouts: Sequence[Rollout]) -> None:
        """Keeps the first program of each kind, and has the problem wait to come back where the share of its sampled
        programs that passed is too far from the target."""
        sampled = [r for r in rollouts if not r.program.greedy]
        for rollout in reversed(sampled):
            program = rollout.program
            if program.finish is not FinishReason.LENGTH:
                sources = self._passed if _passes(rollout) else self._failed
                sources[problem.id] = (program.prefix_ids + program.token_ids)[:-1]
        if not sampled:
            return
        replayed = any(r.program.prefix_ids for r in sampled)
        _, lead, tries = self._drawn.pop(problem.id, _WHOLE) if replayed else _WHOLE
        self._pool.pop(problem.id, None)
        passed = fmean(map(_passes, sampled))
        if abs(passed - self._target) <= self._within or tries >= self._tries:
            return
        lead = min(max(lead + self._gain * (self._target - passed), -self._longest), self._longest)
        if lead < 0 and not self._handicap:
            return
        prefix = self._prefix(problem, lead)
        if not prefix:
            self._unmet += 1
            return
        self._pool[problem.id] = (prefix, lead, tries + 1)
        if len(self._pool) > self._size:
            del self._pool[next(iter(self._pool))]

    def metrics(self) -> dict[str, float]:
        """Problems that wait to come back (`curriculum/waiting`), the mean share of a program that they are to begin
        with (`curriculum/given_share`), the share of them that is to have a head start (`curriculum/head_start_share`),
        and groups so far that called for a prefix and had no program to take it from (`curriculum/unmet`)."""
        leads = [lead for _, lead, _ in self._pool.values()]
        shares = {
            "curriculum/given_share": fmean(map(abs, leads)) if leads else 0.0,
            "curriculum/head_start_share": fmean(lead > 0 for lead in leads) if leads else 0.0,
        }
        return {"curriculum/waiting": float(len(leads)), **shares, "curriculum/unmet": float(self._unmet)}

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: programs to replay and problems that come back, by problem id."""
        return {
            "passed": dict(self._passed),
            "failed": dict(self._failed),
            "pool": dict(self._pool),
            "drawn": dict(self._drawn),
            "unmet": self._unmet,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self._passed = {problem_id: tuple(ids) for problem_id, ids in state["passed"].items()}
        self._failed = {problem_id: tuple(ids) for problem_id, ids in state["failed"].items()}
        self._pool, self._drawn = (
            {problem_id: (tuple(prefix), lead, tries) for problem_id, (prefix, lead, tries) in state[name].items()}
            for name in ("pool", "drawn")
        )
        self._unmet = int(state["unmet"])

    def _prefix(self, problem: Problem, lead: float) -> Ids:
        """The prefix that a lead gives; empty where there is no program to take it from, or no room."""
        program = (self._passed if lead > 0 else self._failed).get(problem.id, ())
        length = round(abs(lead) * len(program))
        if length and self._policy.context is not None:
            prompt = self._policy.encode_prompt(self._benchmark.prompt(problem))
            length = max(0, min(length, self._policy.context - len(prompt) - self._new_tokens))
        if self._policy.response_limit is not None:
            length = max(0, min(length, self._policy.response_limit - self._new_tokens))
        return program[:length]


def _passes(rollout: Rollout) -> bool:
    return rollout.verdict.outcome is Outcome.PASSED
