"""Problems in, rollouts out: prompt, sample, extract, judge, reward, baseline. Training, validation and `eval.py` all
use it. No import of Lightning.

Sampling and judging overlap: a program goes to the executor the moment its last token is drawn, and `collect_rollouts`
waits for the verdicts."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from rltf.algorithms.advantages import Advantages, CreditedGroup
from rltf.algorithms.dynamic_sampling import DynamicSampling
from rltf.benchmarks.base import Benchmark
from rltf.execution.executor import Executor
from rltf.generation.rows import cut_at_stop
from rltf.generation.sampler import Sampler, WeightHolder
from rltf.policies.base import Policy
from rltf.rewards.base import RewardStack
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.finite import check_finite
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.rollouts.interfaces import Curriculum, MultiRoundSampler, RolloutCritic, RolloutMemory, TokenCredit
from rltf.rollouts.offsets import program_offsets
from rltf.types import Problem, Program, Request, Rollout, Sample, Sampling, Verdict

logger = logging.getLogger(__name__)


class RolloutPipeline:
    """Draws programs from a policy, has them judged, and turns verdicts into rollouts.

    Args:
        benchmark: renders prompts and finds programs in answers.
        policy: the model that is sampled.
        sampler: draws responses.
        executor: judges programs.
        rewards: the reward terms; None where programs are judged alone (evaluation).
        advantages: compares the rewards of one problem's programs; None as `rewards`.
        clock: counts the time of the phases `generation`, `execution_wait` and `critic`.
        critic: predicts outcomes or returns, for `credit`; None: no predictions.
        credit: sets the weights of single tokens; None: the advantage plus the span credits.
        curriculum: chooses the start of training programs; None: the policy writes the whole program.
        selection: chooses the groups that are trained on; None: all are.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        sampler: Sampler,
        executor: Executor,
        rewards: RewardStack | None,
        advantages: Advantages | None,
        clock: PhaseClock,
        critic: RolloutCritic | None = None,
        credit: TokenCredit | None = None,
        curriculum: Curriculum | None = None,
        selection: DynamicSampling | None = None,
    ) -> None:
        self.benchmark, self.policy, self.sampler, self.executor = benchmark, policy, sampler, executor
        self._rewards, self._advantages, self.clock = rewards, advantages, clock
        self.critic, self.credit, self.curriculum, self.selection = critic, credit, curriculum, selection
        self.multi_round_sampler: MultiRoundSampler | None = None
        """Draws training programs in place of the single round of `draw_programs`. Set after construction
        (`rltf.setup.generation`), because it draws its rounds through this pipeline."""
        self.unjudgeable: list[Rollout] = []
        """Programs that `collect_rollouts` met and that could not be judged, without reward. Whoever collects clears it
        (`rltf.callbacks.generation`, once an iteration)."""
        self._told_unjudgeable = False
        self._requests: dict[tuple[str, bool], Request] = {}

    @property
    def rewards(self) -> RewardStack:
        """The reward terms; only in training."""
        assert self._rewards is not None, "this pipeline judges programs and gives no rewards"
        return self._rewards

    @property
    def advantages(self) -> Advantages:
        """The comparison of one problem's programs; only in training."""
        assert self._advantages is not None, "this pipeline judges programs and gives no advantages"
        return self._advantages

    def prompt_ids(self, problem: Problem) -> tuple[int, ...]:
        """The problem's encoded prompt; rendered at the first call only."""
        return self._request(problem, training=False).prompt_ids

    def _request(self, problem: Problem, training: bool) -> Request:
        """A request for no program yet, with the prompt as it is in training, or held out (`Prompt.training`)."""
        request = self._requests.get((problem.id, training))
        if request is None:
            prompt = replace(self.benchmark.prompt(problem), training=training)
            request = Request(problem.id, self.policy.encode_prompt(prompt), (), stop=prompt.stop)
            self._requests[problem.id, training] = request
        return request

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
        """Draws programs for the problems and hands each to the executor when it is finished.

        Args:
            problems: problems to draw for.
            draws: draw indices; one sampled program per problem and index.
            sampling: distribution that tokens are drawn from.
            seed: seed of the random streams.
            greedy: also draw each problem's greedy program.
            version: optimiser steps that made the weights.
            policy: policy to sample; None: the pipeline's own.
            training: programs begin with the curriculum's prefix, and are judged with what `credit` needs.

        Returns:
            The programs with verdicts to come, as soon as the last one is drawn.
        """
        prefix_of = self.curriculum.prefix_ids if training and self.curriculum is not None else lambda problem: ()
        credit = self.credit if training else None
        programs: Iterable[tuple[int, Program]]
        if training and self.multi_round_sampler is not None:
            programs = self.multi_round_sampler.draw_in_rounds(
                problems, draws, sampling, seed, greedy=greedy, version=version, policy=policy
            )
        else:
            requests = [
                replace(self._request(p, training), draws=tuple(draws), greedy=greedy, prefix_ids=prefix_of(p))
                for p in problems
            ]
            programs = self.draw_programs(problems, requests, sampling, seed, version=version, policy=policy)
        by_problem: list[dict[int, tuple[Program, Future[Verdict]]]] = [{} for _ in problems]
        judged: dict[tuple[int, str], Future[Verdict]] = {}  # equal programs of a problem have one verdict
        for index, program in programs:
            if (index, program.text) not in judged:
                judged[index, program.text] = self.judge(problems[index], program, credit)
            by_problem[index][program.draw] = (program, judged[index, program.text])
        order = ((-1,) if greedy else ()) + tuple(draws)
        return PendingRollouts(
            tuple(
                (problem, tuple(by_draw[d][0] for d in order), tuple(by_draw[d][1] for d in order))
                for problem, by_draw in zip(problems, by_problem, strict=True)
            )
        )

    def draw_programs(
        self,
        problems: Sequence[Problem],
        requests: Sequence[Request],
        sampling: Sampling,
        seed: int,
        *,
        version: int = 0,
        policy: Policy | None = None,
    ) -> Iterator[tuple[int, Program]]:
        """Programs in the order in which they finish; none is judged.

        Args:
            problems: the problem of each request; a problem may come more than once, with other draws.
            requests: encoded prompts and draw indices.
            sampling: distribution that tokens are drawn from.
            seed: seed of the random streams.
            version: optimiser steps that made the weights.
            policy: policy to sample; None: the pipeline's own.

        Yields:
            (index of the request, program).
        """
        policy = policy or self.policy
        with self.clock("generation"):
            if isinstance(self.sampler, WeightHolder):
                version = self.sampler.refresh(policy, version)
            for sample in self.sampler.sample(policy, requests, sampling, seed):
                index = sample.request
                yield index, self._extract_program(policy, problems[index], requests[index], sample, version)

    def judge(self, problem: Problem, program: Program, credit: TokenCredit | None = None) -> Future[Verdict]:
        """The verdict to come of a program, whose tests start to run.

        Args:
            problem: the problem that it answers.
            program: the program.
            credit: also measure what it reads: executed lines, where the program parts from the first reference.

        Raises:
            ValueError: the sandbox cannot be sent the problem's tests.
        """
        try:
            reference = problem.references[0] if credit and credit.needs_reference and problem.references else None
            coverage = credit is not None and credit.needs_coverage
            return self.executor.submit(problem.job(program.text, coverage, reference))
        except ValueError as error:
            raise ValueError(f"problem {problem.id}: {error}") from error

    def collect_verdicts(self, pending: PendingRollouts) -> list[JudgedGroup]:
        """The judged programs by problem, in the order in which they were started. Waits for the last verdict."""
        with self.clock("execution_wait"):
            groups = [
                JudgedGroup(problem, programs, tuple(future.result() for future in futures))
                for problem, programs, futures in pending.groups
            ]
        self._tell_unjudgeable(groups)
        return groups

    def collect_rollouts(self, pending: PendingRollouts) -> list[list[Rollout]]:
        """Rollouts by problem: rewards, advantages, the critic's predictions and the weights of tokens. Waits for the
        last verdict.

        Programs that could not be judged are in no group: what is compared, trained on and learned from are the others
        of their problem. They are in `unjudgeable`.

        Raises:
            ValueError: a reward term, the critic or the credit gave a program what is no finite number.
        """
        all_groups = self.collect_verdicts(pending)
        self.unjudgeable += [Rollout(*pair) for group in all_groups for pair in group.unjudgeable()]
        judged_groups = [group.judgeable() for group in all_groups]
        credits = iter(self.rewards.credit_batch([triple for judged in judged_groups for triple in judged.triples()]))
        harvest = [
            CreditedGroup(
                [(program, verdict, next(credits)) for _, program, verdict in judged.triples()],
                incomplete=judged is not drawn_group,
            )
            for judged, drawn_group in zip(judged_groups, all_groups, strict=True)
        ]
        groups = self.advantages(harvest)
        memories = self._memories().values()
        for judged, group in zip(judged_groups, groups, strict=True):
            for memory in memories if group else ():
                memory.update(judged.problem, group)
        if self.critic is None and self.credit is None:
            return groups
        rollouts = [rollout for group in groups for rollout in group]
        if self.critic is not None:
            with self.clock("critic"):
                rollouts = self.critic.add_predictions(rollouts)
            check_finite("critic", "predicts", rollouts, [r.critic.tokens if r.critic else () for r in rollouts])
        if self.credit is not None:
            rollouts = self.credit(rollouts)
            check_finite("credit", "weighs", rollouts, [r.weights for r in rollouts])
        weighed = iter(rollouts)
        return [[next(weighed) for _ in group] for group in groups]

    def _tell_unjudgeable(self, groups: Sequence[JudgedGroup]) -> None:
        """Warns of the first programs that could not be judged; later ones are counted in metrics and results."""
        programs = [(group.problem.id, verdict) for group in groups for _, verdict in group.unjudgeable()]
        if not programs or self._told_unjudgeable:
            return
        self._told_unjudgeable = True
        problem_id, verdict = programs[0]
        logger.warning(
            "%d of %d programs could not be judged, such as one of problem %s (%s): they earn no reward and no blame, "
            "count as not passed where pass@k is measured, and are counted as outcome unjudgeable",
            len(programs),
            sum(len(group.programs) for group in groups),
            problem_id,
            "no reason given" if verdict.error is None else verdict.error.message,
        )

    def _memories(self) -> dict[str, RolloutMemory]:
        """What remembers judged programs, by its name in checkpoints."""
        memories: dict[str, RolloutMemory] = {} if self.curriculum is None else {"curriculum": self.curriculum}
        if isinstance(self.multi_round_sampler, RolloutMemory):
            memories["inference"] = self.multi_round_sampler
        return memories

    def metrics(self) -> dict[str, float]:
        """Metrics of the curriculum and of repair turns; empty without them."""
        return {name: value for memory in self._memories().values() for name, value in memory.metrics().items()}

    def state_dict(self) -> dict[str, Any]:
        """State of baselines, curriculum and repair turns for a checkpoint, in plain builtins."""
        memories = {name: memory.state_dict() for name, memory in self._memories().items()}
        return {"advantages": self.advantages.state_dict(), "curriculum": {}, **memories}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""
        self.advantages.load_state_dict(state["advantages"])
        for name, memory in self._memories().items():
            memory.load_state_dict(state[name])

    def _extract_program(
        self, policy: Policy, problem: Problem, request: Request, sample: Sample, version: int
    ) -> Program:
        text, offsets = policy.decode(request.prefix_ids + sample.token_ids)
        text, offsets = cut_at_stop(text, offsets, request.stop)
        extraction = self.benchmark.extract(problem, text)
        return Program(
            problem_id=problem.id,
            text=extraction.program(text),
            prompt_ids=request.prompt_ids,
            token_ids=sample.token_ids,
            offsets=program_offsets(extraction, offsets[len(request.prefix_ids) :], text),
            logprobs=sample.logprobs,
            finish=sample.finish,
            version=version,
            draw=sample.draw,
            greedy=sample.draw == -1,
            prefix_ids=request.prefix_ids,
            turn=request.turn,
        )
