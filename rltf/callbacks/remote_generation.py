"""Sampling beside training (`generation.placement=separate`), the paper's two-model layout: sampler processes draw from
weights that are published every `refresh` iterations, and the buffer takes what has come.

Programs are ordered in draw orders, one iteration's problems each, and drawn in that sequence. At most `max_staleness`
orders are open, and an iteration begins only when those are complete that were placed `max_staleness` iterations ago.
So no program enters the buffer that was drawn from weights older than `max_staleness + refresh - 1` iterations. With
both at 1, the programs trained on do not depend on speed: they are those of `rollouts.lag=1` in one process.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.generation import GenerationCallback
from rltf.generation.remote import RemoteSampler
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.groups import PendingRollouts
from rltf.training.seeds import iteration_seed
from rltf.types import Problem
from rltf.validation import require


@dataclass(frozen=True, slots=True)
class DrawOrder:
    """Programs of one iteration's problems, ordered from the sampler processes."""

    number: int
    """Count of orders before this one; with the run's seed it seeds the draw."""
    iteration: int
    """Iteration in which the order was placed."""
    problems: tuple[Problem, ...]
    rollouts: Future[PendingRollouts]


class RemoteGeneration(GenerationCallback):
    """Orders programs from sampler processes, has them judged, and pushes rollouts into the DataModule's buffer.

    Args:
        sampler: the processes; started and closed here.
        refresh: iterations between two publications of the weights.
        max_staleness: iterations after which an order is waited for.
        **options: see `GenerationCallback`.
    """

    def __init__(self, sampler: RemoteSampler, refresh: int, max_staleness: int, **options: Any) -> None:
        super().__init__(lag=1, **options)
        require("generation.refresh", refresh, at_least=1, whole=True)
        require("generation.max_staleness", max_staleness, at_least=1, whole=True)
        self.sampler, self.refresh, self.max_staleness = sampler, refresh, max_staleness
        # the same pipeline with another sampler and clock: programs are judged as they arrive, by a thread of its own,
        # whose waiting counts for no phase of the run
        self._remote_pipeline = copy.copy(self.pipeline)
        self._remote_pipeline.sampler, self._remote_pipeline.clock = sampler, PhaseClock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rltf-draw-orders")
        self._orders: deque[DrawOrder] = deque()
        self._next_number = self._iteration = 0
        self._published = False
        self._restored_orders: list[dict[str, Any]] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Starts the sampler processes."""
        self.sampler.start()

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ends the sampler processes."""
        self.sampler.close()
        self._thread.shutdown()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Ends the sampler processes of a run that fails."""
        self.sampler.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Collects orders that are complete or due, publishes weights, places orders."""
        module, data = self.module, self.data
        self._iteration = trainer.current_epoch
        incomplete = self._restore_orders()
        last = trainer.max_epochs is not None and self._iteration + 1 >= trainer.max_epochs
        ages: list[int] = []
        while self._orders and (last or self._due(self._orders[0]) or self._orders[0].rollouts.done()):
            ages += self._collect_order(trainer)
        if not self._published or (self.online and self._iteration % self.refresh == 0):
            self._publish()
        for number, problems in incomplete:
            self._place_order(number, problems)
        if not (last and len(data.buffer)):  # programs of the last iteration would never be trained on
            while len(self._orders) < self.max_staleness:
                self._place_order(self._next_number, data.next_problems(self.problems))
                self._next_number += 1
        while self._orders and (last or not len(data.buffer)):
            ages += self._collect_order(trainer)
        row = {"generation/outstanding": float(len(self._orders)), "generation/restarts": float(self.sampler.restarts)}
        if ages:
            row |= {"generation/staleness_mean": sum(ages) / len(ages), "generation/staleness_max": float(max(ages))}
        module.log_row(row)

    def _publish(self) -> None:
        module = self.module
        policy = self.pipeline.policy if self.online else module.start_policy
        self.sampler.publish(policy, module.steps if self.online else module.start_version)
        self._published = True

    def _place_order(self, number: int, problems: Sequence[Problem]) -> None:
        def start_rollouts() -> PendingRollouts:
            return self._remote_pipeline.start_rollouts(
                problems,
                range(self.samples),
                self.sampling,
                iteration_seed(self.seed, number),
                greedy=self._remote_pipeline.advantages.needs_greedy,
                version=self.sampler.version,
                training=True,
            )

        rollouts = self._thread.submit(start_rollouts)
        self._orders.append(DrawOrder(number, self._iteration, tuple(problems), rollouts))

    def _collect_order(self, trainer: L.Trainer) -> list[int]:
        """Collects the oldest order; the age of each of its programs in optimiser steps."""
        with self.pipeline.clock("generation"):
            pending = self._orders[0].rollouts.result()
        self._orders.popleft()
        self.sampled += pending.programs
        steps = self.module.steps
        ages = [steps - program.version for _, programs, _ in pending.groups for program in programs]
        self._collect(pending, trainer)
        return ages

    def _due(self, order: DrawOrder) -> bool:
        return order.iteration <= self._iteration - self.max_staleness

    def state_dict(self) -> dict[str, Any]:
        """Programs that are drawn or that the next iteration waits for anyway, with their verdicts; the problems of
        all other orders."""
        return {
            "sampled": self.sampled,
            "number": self._next_number,
            "tickets": [self._order_state(order) for order in self._orders],
        }

    def _order_state(self, order: DrawOrder) -> dict[str, Any]:
        state: dict[str, Any] = {
            "number": order.number,
            "iteration": order.iteration,
            "problems": [problem.id for problem in order.problems],
        }
        if order.iteration <= self._iteration + 1 - self.max_staleness or order.rollouts.done():
            with self.pipeline.clock("generation"):
                state["pending"] = order.rollouts.result().state_dict()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps orders until training starts; incomplete ones are drawn anew, from the weights of that moment."""
        self.sampled, self._next_number = state_dict["sampled"], state_dict["number"]
        self._restored_orders = state_dict["tickets"]

    def _restore_orders(self) -> list[tuple[int, list[Problem]]]:
        """Number and problems of the incomplete orders of a run that is resumed; complete ones are queued."""
        restored, self._restored_orders = self._restored_orders, []
        problems = {problem.id: problem for problem in self.data.train_problems} if restored else {}
        incomplete = []
        for state in restored:
            order_problems = [problems[problem_id] for problem_id in state["problems"]]
            if "pending" not in state:
                incomplete.append((state["number"], order_problems))
                continue
            rollouts: Future[PendingRollouts] = Future()
            rollouts.set_result(PendingRollouts.restore(state["pending"], problems))
            self._orders.append(DrawOrder(state["number"], state["iteration"], tuple(order_problems), rollouts))
        return incomplete
