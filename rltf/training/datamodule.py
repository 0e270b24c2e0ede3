"""The DataModule: splits, problem order, buffer, streams, and their state in checkpoints.

It samples no programs for training: `GenerationCallback` fills the buffer at the start of an iteration, and the stream
then draws a fixed number of micro-batches, the same on every rank, with demonstrations mixed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader
from typing_extensions import override

from rltf.algorithms.loss_mix import LossMix, window_divisors
from rltf.benchmarks.base import Benchmark
from rltf.inference.base import Inference
from rltf.policies.base import Policy
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.collate import collate
from rltf.rollouts.groups import JudgedGroup, PendingRollouts
from rltf.rollouts.interfaces import NextProblems, ProblemPlan
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.rollouts.problem_order import ProblemOrder
from rltf.rollouts.weighted_order import WeightedOrder
from rltf.training.auxiliary import AUXILIARY, AuxiliaryBatch
from rltf.training.demonstrations import Demonstrations
from rltf.training.micro_batches import Stream, TrainBatch, weighted_rows
from rltf.training.plans import EvaluationPlan, StreamPlan
from rltf.training.ranks import all_gather, mean_over_ranks
from rltf.training.seeds import minibatch_seed
from rltf.types import Problem, Rollout, RolloutBatch

CHECKED_PROBLEMS = 100
"""Training problems whose demonstrations are encoded where none are learned from."""


class RolloutDataModule(L.LightningDataModule):
    """Streams training micro-batches from the buffer, and judged held-out programs.

    Args:
        benchmark: problems, prompts and demonstrations.
        policy: encodes demonstrations.
        pipeline: samples and judges held-out programs.
        buffer: rollouts to train on.
        validation: problems and programs of evaluations during RL.
        test: problems and programs of the evaluations before and after RL.
        max_tokens: longer demonstrations are left out.
        seed: of problem order and minibatches.
        rank: this process, 0-based.
        world_size: number of processes, which share the problems out.
        inference: search that finds the programs of the test; None: they are sampled.
        problem_plan: decides the order of problems and demonstrations; None: all in their turn.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        pipeline: RolloutPipeline,
        buffer: RolloutBuffer,
        validation: EvaluationPlan,
        test: EvaluationPlan,
        max_tokens: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        inference: Inference | None = None,
        problem_plan: ProblemPlan | None = None,
    ) -> None:
        super().__init__()
        self.inference, self.problem_plan = inference, problem_plan
        self.benchmark, self.policy, self.pipeline, self.buffer = benchmark, policy, pipeline, buffer
        self.validation_plan, self.test_plan = validation, test
        self.seed, self.rank, self.world_size, self.max_tokens = seed, rank, world_size, max_tokens
        self.plan: StreamPlan | None = None
        """Sizes of the next `fit`; None: `start` was not called, as in an evaluation."""
        self.iteration = 0
        self._demonstrations: Demonstrations | None = None
        self._train_problems: list[Problem] | None = None
        self._problem_order: NextProblems | None = None

    @property
    def train_problems(self) -> list[Problem]:
        """Problems of the train split, loaded on first use."""
        if self._train_problems is None:
            self._train_problems = list(self.benchmark.problems("train"))
        return self._train_problems

    @property
    def problem_order(self) -> NextProblems:
        """The order in which this rank visits its training problems."""
        if self._problem_order is None:
            problems, place = self.train_problems, (self.seed, self.rank, self.world_size)
            weights = self.benchmark.part_weights()
            if self.problem_plan is not None:
                self._problem_order = self.problem_plan.problem_order(problems, *place)
            elif weights:
                self._problem_order = WeightedOrder(weights, *place)
            else:
                self._problem_order = ProblemOrder(len(problems), *place)
        return self._problem_order

    @property
    def demonstrations(self) -> Demonstrations:
        """Demonstrations of the training problems, encoded on first use."""
        if self._demonstrations is None:
            self._demonstrations = Demonstrations(
                self.benchmark,
                self.policy,
                self.train_problems,
                self.max_tokens,
                self.seed,
                self.rank,
                self.world_size,
                self.problem_plan,
            )
        return self._demonstrations

    def next_problems(self, count: int) -> list[Problem]:
        """This rank's next `count` training problems; without a plan none twice before all were visited once."""
        self._start_iteration(self.problem_order)
        return [self.train_problems[i] for i in self.problem_order.next_indices(count)]

    def _start_iteration(self, order: NextProblems | Demonstrations) -> None:
        iterations = None if self.plan is None else self.plan.iterations
        if iterations is not None and self.trainer is not None:
            order.start_iteration(self.trainer.current_epoch, iterations)

    def check_texts(self, demonstrates: bool) -> None:
        """Encodes a prompt for training and one of the test, and demonstrations, so that a tokenizer or a chat template
        which cannot hold them ends a run before any work.

        Args:
            demonstrates: the run learns from demonstrations; False: some are encoded all the same, since a tokenizer
                that changes them cannot write such programs either.

        Raises:
            ValueError: a prompt cannot be encoded, too many demonstrations come back changed, or none fits.
        """
        for problems in (self.train_problems, self.benchmark.problems(self.test_plan.split)):
            for problem in problems[:1]:
                self.pipeline.prompt_ids(problem)
        if demonstrates:
            self.demonstrations.require_any()
        else:
            Demonstrations(self.benchmark, self.policy, self.train_problems[:CHECKED_PROBLEMS], self.max_tokens, 0)

    def start(self, plan: StreamPlan) -> None:
        """Sets the sizes of the next `fit`."""
        self.plan, self.iteration = plan, 1

    @override
    def train_dataloader(self) -> DataLoader[TrainBatch]:
        assert self.plan is not None, "start(plan) comes before fit"
        return _loader(Stream(self._epoch_updates() * self.plan.accumulate, self._train_batches))

    def _epoch_updates(self) -> int:
        plan, trainer = self.plan, self.trainer
        assert plan is not None
        if plan.total_updates is None or trainer is None:
            return plan.updates
        return min(plan.updates, plan.total_updates - trainer.current_epoch * plan.updates)

    def _train_batches(self) -> Iterator[TrainBatch]:
        plan = self.plan
        assert plan is not None
        rollouts = []
        seed = minibatch_seed(self.seed, self.iteration)
        if plan.mix.needs_rollouts:
            rollouts = self.buffer.sample(plan.updates * plan.accumulate * plan.batch_size, seed)
        self.iteration += 1
        if plan.mix.needs_demonstrations:
            self._start_iteration(self.demonstrations)
        device = self.trainer.strategy.root_device if self.trainer is not None else "cpu"
        size = plan.accumulate * plan.batch_size
        for update in range(self._epoch_updates()):
            step_rollouts = order_by_prompt(rollouts[update * size : (update + 1) * size])
            step_batches: list[tuple[dict[str, RolloutBatch], AuxiliaryBatch | None]] = []
            for index in range(plan.accumulate):
                batches, auxiliary = {}, None
                if plan.mix.needs_rollouts:
                    micro = step_rollouts[index * plan.batch_size : (index + 1) * plan.batch_size]
                    batches["rl"] = collate(micro, self.policy.pad_id, self.policy.prompt_padding)
                    if plan.auxiliary is not None:
                        auxiliary = plan.auxiliary.prepare(micro, f"{seed}/{update}/{index}")
                if plan.mix.needs_demonstrations:
                    batches["supervised"] = self.demonstrations.batch(plan.demonstrations)
                step_batches.append((batches, auxiliary))
            counts = mean_over_ranks([_counts(plan.mix, *batches) for batches in step_batches], device)
            for (batches, auxiliary), divisors in zip(
                step_batches, window_divisors(counts, plan.accumulate), strict=True
            ):
                if plan.skip_zero_weight and "rl" in batches:
                    batches = batches | {"rl": weighted_rows(batches["rl"])}
                yield TrainBatch(batches, divisors, auxiliary)

    @override
    def val_dataloader(self) -> DataLoader[list[JudgedGroup]]:
        return self._evaluation_loader(self.validation_plan, None)

    @override
    def test_dataloader(self) -> DataLoader[list[JudgedGroup]]:
        return self._evaluation_loader(self.test_plan, self.inference)

    def _evaluation_loader(self, plan: EvaluationPlan, inference: Inference | None) -> DataLoader[list[JudgedGroup]]:
        problems = list(self.benchmark.problems(plan.split))[: plan.problems]
        # strided and unpadded: a padded split would count some problems twice
        rank_problems = problems[self.rank :: self.world_size]
        chunks = [rank_problems[i : i + plan.chunk_size] for i in range(0, len(rank_problems), plan.chunk_size)]

        def start_chunk(chunk: list[Problem]) -> PendingRollouts:
            start_rollouts = self.pipeline.start_rollouts if inference is None else inference.start_rollouts
            return start_rollouts(chunk, range(plan.samples), plan.sampling, plan.seed, greedy=plan.greedy)

        def await_verdicts(pending: PendingRollouts) -> list[JudgedGroup]:
            groups = self.pipeline.collect_verdicts(pending)
            return groups if inference is None else [inference.finish_problem(group) for group in groups]

        def judged_chunks() -> Iterator[list[JudgedGroup]]:
            pending = start_chunk(chunks[0])
            for chunk in chunks[1:]:
                next_pending = start_chunk(chunk)  # while the sandbox works on the chunk before
                yield await_verdicts(pending)
                pending = next_pending
            yield await_verdicts(pending)

        return _loader(Stream(len(chunks), judged_chunks))

    @override
    def state_dict(self) -> dict[str, Any]:
        return {
            "ranks": all_gather(
                {
                    "iteration": self.iteration,
                    "order": self.problem_order.state_dict(),
                    "demonstrations": self._demonstrations.state_dict() if self._demonstrations else {},
                    "buffer": self.buffer.state_dict(),
                    "pipeline": self.pipeline.state_dict(),
                }
            )
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues at a checkpoint.

        Raises:
            ValueError: it is of another number of processes.
        """
        states = state_dict["ranks"]
        if len(states) != self.world_size:
            raise ValueError(
                f"resume: the checkpoint is of {len(states)} processes and this run has {self.world_size}: every one "
                "has its own problems and buffer, so use as many as before"
            )
        state = states[self.rank]
        self.iteration = state["iteration"]
        self.problem_order.load_state_dict(state["order"])
        self.demonstrations.load_state_dict(state["demonstrations"])
        self.buffer.load_state_dict(state["buffer"])
        self.pipeline.load_state_dict(state["pipeline"])


def _counts(mix: LossMix, batches: Mapping[str, RolloutBatch], auxiliary: AuxiliaryBatch | None) -> dict[str, float]:
    """Count of each loss term in a micro-batch."""
    return mix.counts(batches) | ({} if auxiliary is None else {AUXILIARY: auxiliary.count})


def _loader(stream: Stream) -> DataLoader[Any]:
    """A loader with a generator of its own: every loader draws a number, from the global generator by default, whose
    numbers are the policy's dropout; and a resumed run makes its loader at another moment."""
    return DataLoader(stream, batch_size=None, generator=torch.Generator())


def order_by_prompt(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts of one optimiser step, in the order whose micro-batches cost least.

    Rollouts of one problem are neighbours, since the policy runs a prompt once for all rows of a micro-batch that share
    it. Problems are ordered by the length of their prompts, against padding. Responses need no order: the policy runs
    those of similar length together. The step's gradient is the same in any order."""
    groups: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.program.problem_id, []).append(rollout)
    by_prompt = sorted(groups.values(), key=lambda group: len(group[0].program.prompt_ids))
    return [rollout for group in by_prompt for rollout in group]
