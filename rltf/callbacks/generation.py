"""When to sample, and with which seeds: the callback that fills the buffer at the start of every iteration.

`lag` says how judging overlaps training. 0: wait for this iteration's verdicts and train on them. 1: train on the
buffer while this iteration's programs are judged, and harvest them in the next iteration, in the order they were
launched, once that one's programs are drawn: so judging has all of sampling and training to hide behind. Both are
deterministic: what is in the buffer never depends on how fast the sandbox was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import lightning.pytorch as L

from rltf.rollouts.pipeline import PendingRollouts, RolloutPipeline
from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather
from rltf.training.seeds import iteration_seed
from rltf.types import Rollout, Sampling


@runtime_checkable
class RolloutListener(Protocol):
    """A callback that wants every judged program."""

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """`groups` holds the rollouts of one visit to each problem."""
        ...


class GenerationCallback(L.Callback):
    """Samples, has judged, and pushes rollouts into the DataModule's buffer.

    Args:
        pipeline: draws and judges.
        sampling: distribution of the draws.
        problems: visited each iteration, on this rank.
        samples: programs a problem.
        lag: 0 or 1 iterations between sampling and training.
        seed: of the run.
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

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Launches this iteration's programs, harvests what was launched an iteration ago."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(module, RLTFModule)
        assert isinstance(data, RolloutDataModule)
        if self._restored:
            state, self._restored = self._restored[trainer.global_rank], []
            self._pending = PendingRollouts.restore(state, {p.id: p for p in data.train_problems}) if state else None
        earlier, self._pending = self._pending, None
        last = trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
        unread = self.lag and last and (earlier is not None or len(data.buffer))  # nobody would train on more
        if not unread:
            self._pending = self._start_rollouts(trainer, module, data, self.problems)
        if earlier is not None:
            self._collect(earlier, trainer, module, data)
        if self._pending is not None and (not self.lag or not len(data.buffer)):
            pending, self._pending = self._pending, None
            self._collect(pending, trainer, module, data)

    def _start_rollouts(
        self, trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule, problems: int, again: int = 0
    ) -> PendingRollouts:
        pending = self.pipeline.start_rollouts(
            data.next_problems(problems),
            range(self.samples),
            self.sampling,
            iteration_seed(self.seed, trainer.current_epoch, again),
            greedy=self.pipeline.advantages.needs_greedy,
            version=module.steps if self.online else module.start_version,
            policy=None if self.online else module.start_policy,
            training=True,
        )
        self.sampled += pending.programs
        return pending

    def _collect(
        self, pending: PendingRollouts, trainer: L.Trainer, module: RLTFModule, data: RolloutDataModule
    ) -> None:
        groups: Sequence[Sequence[Rollout]] = self.pipeline.collect_rollouts(pending)
        kept = groups
        if self.pipeline.selection is not None:
            groups, kept = self.pipeline.selection(
                groups,
                lambda n, again: self.pipeline.collect_rollouts(self._start_rollouts(trainer, module, data, n, again)),
            )
        data.buffer.extend(r for group in kept for r in group)
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, RolloutListener):
                callback.on_rollouts(trainer, module, groups)

    def state_dict(self) -> dict[str, Any]:
        """Programs of all ranks that are not harvested yet, with their verdicts: the sandbox is waited for."""
        with self.pipeline.clock("execution_wait"):
            pending = self._pending.state_dict() if self._pending else None
        return {"sampled": self.sampled, "pending": all_gather(pending)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """They are harvested when training goes on."""
        self.sampled, self._restored = state["sampled"], state["pending"]
