"""What the callbacks of a run share: typed access to its module, data and folder, and the hook for judged programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import lightning.pytorch as L

from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule
from rltf.types import Rollout


@runtime_checkable
class RolloutListener(Protocol):
    """A callback that receives every judged program."""

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """Called when verdicts have become rollouts, before they are trained on.

        Args:
            trainer: of the run.
            module: of the run.
            groups: rollouts of this rank, one group per visit to a problem. Programs that could not be judged are in
                none of them, but in `RolloutPipeline.unjudgeable`.
        """
        ...


class RLTFCallback(L.Callback):
    """A Lightning callback for runs of `rltf`. Whatever a constructor does not get from yaml, a callback finds here,
    from `setup` on: so a callback of one's own needs a class and a yaml node, and no other change.

    Example:
        >>> class PrintSteps(RLTFCallback):
        ...     def on_train_epoch_end(self, trainer, pl_module):
        ...         print(self.module.steps, len(self.data.buffer), self.folder)
    """

    _trainer: L.Trainer | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Keeps the trainer for the properties below. Overrides call it first."""
        self._trainer = trainer

    @property
    def module(self) -> RLTFModule:
        """The run's module."""
        module = self._attached.lightning_module
        assert isinstance(module, RLTFModule), f"{type(self).__name__} serves runs of rltf, not {type(module).__name__}"
        return module

    @property
    def data(self) -> RolloutDataModule:
        """The run's data: problems, buffer and pipeline."""
        data = self._attached.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, RolloutDataModule), f"{type(self).__name__} serves runs of rltf, not {type(data)}"
        return data

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self._attached.default_root_dir)

    @property
    def _attached(self) -> L.Trainer:
        assert self._trainer is not None, f"{type(self).__name__} is used before its trainer called `setup`"
        return self._trainer
