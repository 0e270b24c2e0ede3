"""The objects of a training run, which its steps share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as L
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from rich.console import Console

from rltf.algorithms.loss_mix import LossMix
from rltf.runs.summary import RunSummary
from rltf.setup.callbacks import RunCallbacks
from rltf.setup.components import Components
from rltf.setup.config import RunConfig
from rltf.training.auxiliary import Auxiliary
from rltf.training.datamodule import RolloutDataModule
from rltf.training.module import RLTFModule


@dataclass(frozen=True)
class Run:
    """The objects of a training run."""

    cfg: DictConfig
    config: RunConfig
    folder: Path
    console: Console
    components: Components
    mix: LossMix
    """Loss of RL."""
    auxiliary: Auxiliary | None
    """A loss beside it."""
    loggers: Sequence[Logger]
    callbacks: RunCallbacks
    trainer: L.Trainer
    """Of RL and of the evaluations."""
    module: RLTFModule
    data: RolloutDataModule
    summary: RunSummary
