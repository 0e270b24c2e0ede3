"""Sampling beside training (`generation.placement=separate`), the paper's two-model layout: sampler processes draw from
weights that are published every `refresh` iterations, and the buffer takes what has come.

Programs are asked for in tickets, one iteration's problems each, and drawn in that order. At most `max_staleness`
tickets are out, and an iteration begins only when those are in that were asked for `max_staleness` iterations ago. So
no program enters the buffer that was drawn from weights older than `max_staleness + refresh - 1` iterations. With both
at 1, what is trained on does not depend on anyone's speed: it is what `rollouts.lag=1` trains on in one process.
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
from rltf.generation.remote import SeparateSampler
from rltf.rollouts.clock import PhaseClock
from rltf.rollouts.pipeline import PendingRollouts
from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule
from rltf.training.seeds import iteration_seed
from rltf.types import Problem


@dataclass(frozen=True, slots=True)
class DrawOrder:
    """Programs that were asked for."""

    number: int
    """From 0; with the run's seed it seeds the draw."""
    iteration: int
    """In which it was asked for."""
    problems: tuple[Problem, ...]
    drawn: Future[PendingRollouts]


class SeparateGeneration(GenerationCallback):
    """Asks sampler processes for programs, has them judged, and pushes rollouts into the DataModule's buffer.

    Args:
        sampler: the processes; started and closed here.
        refresh: iterations between two publications of the weights.
        max_staleness: iterations after which programs that were asked for are waited for.
        **options: see `GenerationCallback`.
    """

    def __init__(self, sampler: SeparateSampler, refresh: int, max_staleness: int, **options: Any) -> None:
        super().__init__(lag=1, **options)
        for key, value in (("refresh", refresh), ("max_staleness", max_staleness)):
            if value < 1:
                raise ValueError(f"generation.{key} is {value}: expected at least 1 iteration")
        self.sampler, self.refresh, self.max_staleness = sampler, refresh, max_staleness
        # The same pipeline, but for who draws and for the clock: a program is judged the moment it arrives, by a thread
        # whose waiting is nobody's time.
        self._beside = copy.copy(self.pipeline)
        self._beside.sampler, self._beside.clock = sampler, PhaseClock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="rltf-tickets")
        self._tickets: deque[DrawOrder] = deque()
        self._number = self._iteration = 0
        self._published = False
        self._restored_tickets: list[dict[str, Any]] = []

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The processes start."""
        self.sampler.start()

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """And end."""
        self.sampler.close()
        self._thread.shutdown()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """They end with the run, whatever ended it."""
        self.sampler.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Takes what has come and waits for what is due, publishes, asks for more."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(module, RLTFModule)
        assert isinstance(data, RolloutDataModule)
        self._iteration = trainer.current_epoch
        again = self._restore(data)
        last = trainer.max_epochs is not None and self._iteration + 1 >= trainer.max_epochs
        ages: list[int] = []
        while self._tickets and (last or self._due(self._tickets[0]) or self._tickets[0].drawn.done()):
            ages += self._take(trainer, module, data)
        if not self._published or (self.online and self._iteration % self.refresh == 0):
            self._publish(module)
        for number, problems in again:
            self._ask(number, problems)
        if not (last and len(data.buffer)):  # nobody would train on them
            while len(self._tickets) < self.max_staleness:
                self._ask(self._number, data.next_problems(self.problems))
                self._number += 1
        while self._tickets and (last or not len(data.buffer)):
            ages += self._take(trainer, module, data)
        row = {"generation/outstanding": float(len(self._tickets)), "generation/restarts": float(self.sampler.restarts)}
        if ages:
            row |= {"generation/staleness_mean": sum(ages) / len(ages), "generation/staleness_max": float(max(ages))}
        module.log_row(row)

    def _publish(self, module: RLTFModule) -> None:
        policy = self.pipeline.policy if self.online else module.start_policy
        self.sampler.publish(policy, module.steps if self.online else module.start_version)
        self._published = True

    def _ask(self, number: int, problems: Sequence[Problem]) -> None:
        def draw() -> PendingRollouts:
            return self._beside.start_rollouts(
                problems,
                range(self.samples),
                self.sampling,
                iteration_seed(self.seed, number),
                greedy=self._beside.advantages.needs_greedy,
                version=self.sampler.version,
                training=True,
            )

        self._tickets.append(DrawOrder(number, self._iteration, tuple(problems), self._thread.submit(draw)))

    def _take(self, trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule) -> list[int]:
        """Harvests the oldest ticket; the age of each of its programs in optimiser steps."""
        with self.pipeline.clock("generation"):
            pending = self._tickets[0].drawn.result()
        self._tickets.popleft()
        self.sampled += pending.programs
        ages = [module.steps - program.version for _, programs, _ in pending.groups for program in programs]
        self._collect(pending, trainer, module, data)
        return ages

    def _due(self, ticket: DrawOrder) -> bool:
        return ticket.iteration <= self._iteration - self.max_staleness

    # ---------------------------------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """Programs that have come or that the next iteration waits for anyway, with their verdicts; of the others what
        was asked for."""
        return {
            "sampled": self.sampled,
            "number": self._number,
            "tickets": [self._ticket_state(ticket) for ticket in self._tickets],
        }

    def _ticket_state(self, ticket: DrawOrder) -> dict[str, Any]:
        state: dict[str, Any] = {
            "number": ticket.number,
            "iteration": ticket.iteration,
            "problems": [problem.id for problem in ticket.problems],
        }
        if ticket.iteration <= self._iteration + 1 - self.max_staleness or ticket.drawn.done():
            with self.pipeline.clock("generation"):
                state["pending"] = ticket.drawn.result().state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What came is harvested when training goes on; the rest is drawn anew, from the weights of that moment."""
        self.sampled, self._number, self._restored_tickets = state["sampled"], state["number"], state["tickets"]

    def _restore(self, data: RolloutDataModule) -> list[tuple[int, list[Problem]]]:
        """Tickets of a run that goes on; number and problems of those that had not come."""
        restored, self._restored_tickets = self._restored_tickets, []
        problems = {problem.id: problem for problem in data.train_problems} if restored else {}
        again = []
        for state in restored:
            chosen = [problems[problem_id] for problem_id in state["problems"]]
            if "pending" not in state:
                again.append((state["number"], chosen))
                continue
            drawn: Future[PendingRollouts] = Future()
            drawn.set_result(PendingRollouts.restore(state["pending"], problems))
            self._tickets.append(DrawOrder(state["number"], state["iteration"], tuple(chosen), drawn))
        return again
