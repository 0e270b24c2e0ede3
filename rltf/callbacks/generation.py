"""Sampling in a run: the callback that fills the buffer at the start of every iteration.

`lag` says how judging overlaps training. 0: wait for this iteration's verdicts and train on them. 1: train on the
buffer while this iteration's programs are judged, and collect them in the next iteration, once that one's programs are
drawn: so judging overlaps sampling and training. Both are deterministic: the buffer's content does not depend on the
sandbox's speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback, RolloutListener
from rltf.generation.sampler import WeightHolder
from rltf.rollouts.groups import PendingRollouts
from rltf.rollouts.pipeline import RolloutPipeline
from rltf.training.ranks import all_gather
from rltf.training.seeds import iteration_seed
from rltf.types import Rollout, Sampling


class GenerationCallback(RLTFCallback):
    """Draws programs, has them judged, and pushes the rollouts into the DataModule's buffer.

    Args:
        pipeline: draws and judges.
        sampling: distribution of the draws.
        problems: problems per iteration, on this rank.
        samples: programs per problem.
        lag: 0 or 1 iterations between sampling and training.
        seed: seed of the run.
        online: draw from the present policy; False: from the one that RL started with (offline RL).
    """

    def __init__(
        self,
        pipeline: RolloutPipeline,
        sampling: Sampling,
        problems: int,
        samples: int,
        lag: int,
        seed: int,
        online: bool = True,
    ) -> None:
        self.pipeline, self.sampling = pipeline, sampling
        self.problems, self.samples, self.lag, self.seed, self.online = problems, samples, lag, seed, online
        self.sampled = 0
        """Programs drawn so far."""
        self._pending: PendingRollouts | None = None
        self._restored: list[dict[str, Any] | None] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draws this iteration's programs and collects the rollouts that are due."""
        if self._restored:
            state, self._restored = self._restored[trainer.global_rank], []
            problems = {problem.id: problem for problem in self.data.train_problems}
            self._pending = PendingRollouts.restore(state, problems) if state else None
        previous, self._pending = self._pending, None
        last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        # with lag, programs of the last iteration would never be trained on
        unread = self.lag and last and (previous is not None or len(self.data.buffer))
        if not unread:
            self._pending = self._start_rollouts(trainer, self.problems)
        if previous is not None:
            self._collect(previous, trainer)
        if self._pending is not None and (not self.lag or not len(self.data.buffer)):
            pending, self._pending = self._pending, None
            self._collect(pending, trainer)

    def _start_rollouts(self, trainer: L.Trainer, problems: int, attempt: int = 0) -> PendingRollouts:
        """Programs of the next `problems` problems, on their way through the sandbox; `attempt` counts further draws
        of an iteration (dynamic sampling)."""
        module = self.module
        pending = self.pipeline.start_rollouts(
            self.data.next_problems(problems),
            range(self.samples),
            self.sampling,
            iteration_seed(self.seed, trainer.current_epoch, attempt),
            greedy=self.pipeline.advantages.needs_greedy,
            version=module.steps if self.online else module.start_version,
            policy=None if self.online else module.start_policy,
            training=True,
        )
        self.sampled += pending.programs
        if self.online and isinstance(self.pipeline.sampler, WeightHolder):
            versions = [program.version for _, programs, _ in pending.groups for program in programs]
            module.log_row({"generation/stale_updates": float(module.steps - min(versions, default=module.steps))})
        return pending

    def _collect(self, pending: PendingRollouts, trainer: L.Trainer) -> None:
        """Puts rollouts into the buffer and hands them to all listeners."""
        self.pipeline.unjudgeable.clear()
        groups: Sequence[Sequence[Rollout]] = self.pipeline.collect_rollouts(pending)
        trained_groups = groups
        if self.pipeline.selection is not None:
            groups, trained_groups = self.pipeline.selection(
                groups,
                lambda problems, attempt: self.pipeline.collect_rollouts(
                    self._start_rollouts(trainer, problems, attempt)
                ),
            )
        self.data.buffer.extend(rollout for group in trained_groups for rollout in group)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RolloutListener):
                callback.on_rollouts(trainer, self.module, groups)

    def state_dict(self) -> dict[str, Any]:
        """Number of programs drawn, and pending programs of all ranks with their verdicts: waits for the sandbox."""
        with self.pipeline.clock("execution_wait"):
            pending = self._pending.state_dict() if self._pending else None
        return {"sampled": self.sampled, "pending": all_gather(pending)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps pending programs until training starts."""
        self.sampled, self._restored = state_dict["sampled"], state_dict["pending"]
