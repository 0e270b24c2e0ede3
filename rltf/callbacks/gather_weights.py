"""Whole weights for whoever draws programs, where the trainer shards them (`trainer=fsdp`)."""

from __future__ import annotations

import lightning.pytorch as L

from rltf.training.module import RLTFModule


class GatherWeights(L.Callback):
    """Gathers before an iteration's programs are drawn and before an evaluation. Comes before the callback that
    samples; does nothing with other trainers."""

    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Programs are about to be drawn."""
        assert isinstance(module, RLTFModule)
        module.gather_policy()

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """An evaluation draws, too."""
        self.on_train_epoch_start(trainer, module)

    def on_test_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """And here."""
        self.on_train_epoch_start(trainer, module)
