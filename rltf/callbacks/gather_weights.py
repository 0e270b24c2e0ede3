"""Whole weights for sampling and evaluation, where the trainer shards them (`trainer=fsdp`)."""

from __future__ import annotations

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback


class GatherWeights(RLTFCallback):
    """Gathers weights before an iteration's programs are drawn and before an evaluation. Stands before the callback
    that samples; does nothing with trainers that keep whole weights."""

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Before an iteration's programs are drawn."""
        self.module.gather_policy()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Before programs of the validation split are drawn."""
        self.module.gather_policy()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Before programs of the test split are drawn."""
        self.module.gather_policy()
