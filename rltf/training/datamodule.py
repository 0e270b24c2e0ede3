"""The DataModule: splits, problem order, buffer, streams, and their state in checkpoints.

It never samples: `GenerationCallback` fills the buffer at the start of an iteration, and the stream then draws a fixed
number of micro-batches, the same on every rank, with demonstrations mixed in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as L
import torch
from torch.utils.data import DataLoader

from rltf.algorithms.loss_mix import LossMix, window_divisors
from rltf.benchmarks.base import Benchmark
from rltf.inference.base import Inference
from rltf.policies.base import Policy
from rltf.rollouts.batch import collate
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.pipeline import JudgedGroup, PendingRollouts, RolloutPipeline
from rltf.rollouts.problems import ProblemOrder
from rltf.training.batches import Stream, TrainBatch
from rltf.training.demonstrations import Demonstrations
from rltf.training.ranks import gather, rank_mean
from rltf.types import Problem, Rollout, Sampling, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """Sizes of a training epoch: an iteration of RL, or the warm-up between two checkpoints."""

    mix: LossMix
    """Its loss terms decide whether micro-batches hold rollouts, demonstrations or both."""
    updates: int
    """Optimiser steps per epoch."""
    accumulate: int
    """Micro-batches per optimiser step."""
    batch_size: int
    """Rollouts per micro-batch."""
    demonstrations: int
    """Demonstrations per micro-batch."""
    total_updates: int | None = None
    """Optimiser steps of all epochs, if the last epoch is shorter; None: all epochs have `updates`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPlan:
    """Problems of an evaluation, and the programs sampled for each."""

    split: Split
    problems: int | None
    """Number of problems, from the start of the split; None: all."""
    samples: int
    """Programs per problem, besides the greedy one."""
    sampling: Sampling
    """Distribution of the sampled programs."""
    seed: int
    greedy: bool = False
    """Also decode the greedy program."""
    chunk_size: int = 64
    """Problems sampled together; the next chunk is sampled while the programs of this one are judged."""


class RolloutDataModule(L.LightningDataModule):
    """Streams training micro-batches from the buffer, and judged held-out programs.

    Args:
        benchmark: gives problems.
        policy: encodes demonstrations.
        pipeline: draws and judges held-out programs.
        buffer: of rollouts.
        validation, test: what evaluations draw.
        seed: of problem order and minibatches.
        rank, world_size: this process's share of problems.
        inference: finds the programs of the test; None: they are drawn.
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
    ) -> None:
        super().__init__()
        self.inference = inference
        self.benchmark, self.policy, self.pipeline, self.buffer = benchmark, policy, pipeline, buffer
        self.validation_plan, self.test_plan = validation, test
        self.seed, self.rank, self.world_size, self.max_tokens = seed, rank, world_size, max_tokens
        self.plan: StreamPlan | None = None
        self.iteration = 0
        self._demonstrations: Demonstrations | None = None
        self._train: list[Problem] | None = None
        self._order: ProblemOrder | None = None

    # -------------------------------------------------------------------------------------------- problems

    @property
    def train_problems(self) -> list[Problem]:
        """Problems of the train split, loaded on first use."""
        if self._train is None:
            self._train = list(self.benchmark.problems("train"))
        return self._train

    @property
    def order(self) -> ProblemOrder:
        """The order in which problems are visited."""
        if self._order is None:
            self._order = ProblemOrder(len(self.train_problems), self.seed, self.rank, self.world_size)
        return self._order

    @property
    def demonstrations(self) -> Demonstrations:
        """Encoded on first use."""
        if self._demonstrations is None:
            self._demonstrations = Demonstrations(
                self.benchmark, self.policy, self.train_problems, self.max_tokens, self.seed, self.rank, self.world_size
            )
        return self._demonstrations

    def next_problems(self, count: int) -> list[Problem]:
        """This rank's next `count` problems: none twice before all were seen once."""
        return [self.train_problems[i] for i in self.order.next(count)]

    # -------------------------------------------------------------------------------------------- streams

    def start(self, plan: StreamPlan) -> None:
        """The next `fit` draws by this plan."""
        self.plan, self.iteration = plan, 1

    def train_dataloader(self) -> DataLoader[TrainBatch]:
        """A sized stream of micro-batches; each epoch draws anew from the buffer."""
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
        if plan.mix.needs_rollouts:
            count = plan.updates * plan.accumulate * plan.batch_size
            rollouts = self.buffer.sample(count, self.seed * 1_000_003 + self.iteration)
        self.iteration += 1
        device = self.trainer.strategy.root_device if self.trainer is not None else "cpu"
        size = plan.accumulate * plan.batch_size
        for update in range(self._epoch_updates()):
            chosen = order_by_prompt(rollouts[update * size : (update + 1) * size])
            window = []
            for index in range(plan.accumulate):
                parts = {}
                if plan.mix.needs_rollouts:
                    micro = chosen[index * plan.batch_size : (index + 1) * plan.batch_size]
                    parts["rl"] = collate(micro, self.policy.pad_id, self.policy.prompt_padding)
                if plan.mix.needs_demonstrations:
                    parts["supervised"] = self.demonstrations.batch(plan.demonstrations)
                window.append(parts)
            counts = rank_mean([plan.mix.counts(parts) for parts in window], device)
            for parts, divisor in zip(window, window_divisors(counts, plan.accumulate), strict=True):
                yield TrainBatch(parts, divisor)

    def val_dataloader(self) -> DataLoader[list[JudgedGroup]]:
        """Judged programs of validation problems."""
        return self._evaluation(self.validation_plan, None)

    def test_dataloader(self) -> DataLoader[list[JudgedGroup]]:
        """Judged programs of held-out problems."""
        return self._evaluation(self.test_plan, self.inference)

    def _evaluation(self, plan: EvaluationPlan, inference: Inference | None) -> DataLoader[list[JudgedGroup]]:
        problems = list(self.benchmark.problems(plan.split))[: plan.problems]
        # strided and unpadded: a padded split would count some problems twice
        mine = problems[self.rank :: self.world_size]
        chunks = [mine[i : i + plan.chunk_size] for i in range(0, len(mine), plan.chunk_size)]

        def start(chunk: list[Problem]) -> PendingRollouts:
            start_rollouts = self.pipeline.start_rollouts if inference is None else inference.start_rollouts
            return start_rollouts(chunk, range(plan.samples), plan.sampling, plan.seed, greedy=plan.greedy)

        def verdicts(pending: PendingRollouts) -> list[JudgedGroup]:
            found = self.pipeline.verdicts(pending)
            return found if inference is None else [inference.finish_problem(judged) for judged in found]

        def judged() -> Iterator[list[JudgedGroup]]:
            pending = start(chunks[0])
            for following in chunks[1:]:
                ahead = start(following)  # while the sandbox works on the chunk before
                yield verdicts(pending)
                pending = ahead
            yield verdicts(pending)

        return _loader(Stream(len(chunks), judged))

    # -------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Buffer, orders, baselines, curriculum and the iteration, of every rank."""
        return {
            "ranks": gather(
                {
                    "iteration": self.iteration,
                    "order": self.order.state_dict(),
                    "demonstrations": self._demonstrations.state_dict() if self._demonstrations else {},
                    "buffer": self.buffer.state_dict(),
                    "pipeline": self.pipeline.state_dict(),
                }
            )
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues where the checkpoint stands.

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
        self.order.load_state_dict(state["order"])
        self.demonstrations.load_state_dict(state["demonstrations"])
        self.buffer.load_state_dict(state["buffer"])
        self.pipeline.load_state_dict(state["pipeline"])


def _loader(stream: Stream) -> DataLoader[Any]:
    """Draws the number that every loader draws from a generator of its own: global random numbers are the policy's
    dropout, and a run that goes on makes its loader at another moment."""
    return DataLoader(stream, batch_size=None, generator=torch.Generator())


def order_by_prompt(rollouts: Sequence[Rollout]) -> list[Rollout]:
    """The rollouts of one optimiser step, in the order that is cheapest to cut into micro-batches.

    Those of one problem stand side by side, since the policy runs a prompt once for all rows of a micro-batch that
    share it; problems are ordered by the length of their prompts, so that little of these is padding. Responses need no
    order: the policy runs those of like length together. The step's gradient is the same in any order."""
    groups: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(rollout.program.problem_id, []).append(rollout)
    by_prompt = sorted(groups.values(), key=lambda group: len(group[0].program.prompt_ids))
    return [rollout for group in by_prompt for rollout in group]
