"""Lightning Trainers of a run."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig

from rltf.callbacks.gather_weights import GatherWeights
from rltf.setup.config import WarmupConfig
from rltf.setup.instantiate import build
from rltf.validation import OptionError, sentence_of

DEVICE_KEYS = ("accelerator", "devices", "num_nodes", "precision")


def build_trainer(
    cfg: DictConfig,
    folder: Path,
    loggers: Sequence[Logger] = (),
    callbacks: Sequence[L.Callback] = (),
    overrides: Mapping[str, Any] | None = None,
) -> L.Trainer:
    """The Trainer that `trainer` describes.

    Args:
        cfg: the whole config.
        folder: the run folder.
        loggers: of metrics.
        callbacks: of the run; Lightning's own bar and summary stay off.
        overrides: Trainer keywords that take the place of the config's.

    Raises:
        ValueError: the strategy cannot do what is asked.
    """
    saves = any(isinstance(callback, Checkpoint) for callback in callbacks)
    _check_strategy(cfg.trainer.get("strategy"), saves)
    trainer: L.Trainer = build(
        cfg,
        "trainer",
        logger=list(loggers),
        callbacks=[GatherWeights(), *callbacks],
        default_root_dir=str(folder),
        enable_checkpointing=saves,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,  # problems are sharded without padding, which would count some twice
        inference_mode=False,  # tensors made there could not enter backward
        **(overrides or {}),
    )
    return trainer


def check_trainer(cfg: DictConfig) -> None:
    """Finds mistakes in `trainer` before anything is loaded: makes a Trainer of the config and drops it.

    Raises:
        ValueError: Lightning refuses the keys, or this machine lacks the devices.
    """
    accelerator, strategy = cfg.trainer.get("accelerator"), cfg.trainer.get("strategy", "auto")
    backends = (torch.cuda.is_available(), torch.backends.mps.is_available())
    if (accelerator == "cuda" and not backends[0]) or (accelerator == "gpu" and not any(backends)):
        raise OptionError("trainer.accelerator", accelerator, "auto or cpu: torch finds no such device here")
    quiet = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come again with the Trainer that is kept
            trainer: L.Trainer = build(cfg, "trainer", **dict.fromkeys(quiet, False))
    except (MisconfigurationException, ValueError, TypeError, ImportError) as error:
        if str(error).startswith("trainer"):
            raise
        keys = ", ".join(f"{key}={cfg.trainer[key]}" for key in DEVICE_KEYS if key in cfg.trainer)
        raise ValueError(f"trainer ({keys}): {sentence_of(error)}") from error
    if strategy == "auto" and trainer.world_size > 1:
        raise OptionError("trainer.devices", cfg.trainer.devices, "1; trainer=ddp or trainer=fsdp train on several")


def build_warmup_trainer(
    cfg: DictConfig, warmup: WarmupConfig, folder: Path, loggers: Sequence[Logger], callbacks: Sequence[L.Callback]
) -> L.Trainer:
    """The Trainer of the supervised warm-up: an epoch ends when a checkpoint is due, and nothing is validated."""
    overrides = {
        "max_epochs": -(-warmup.steps // warmup.save_every),
        "reload_dataloaders_every_n_epochs": 1,  # the last epoch may be shorter
        "limit_val_batches": 0,
        "accumulate_grad_batches": warmup.accumulate,
    }
    return build_trainer(cfg, folder, loggers, callbacks, overrides)


def _check_strategy(strategy: Any, saves: bool) -> None:
    if not isinstance(strategy, DictConfig) or not strategy._target_.endswith(".DeepSpeedStrategy"):
        return
    if strategy.get("stage", 2) > 2:
        raise ValueError(
            f"trainer.strategy.stage is {strategy.stage}: expected 1 or 2, since samplers need whole weights; "
            "trainer=fsdp shares weights out, too"
        )
    if saves:
        raise ValueError(
            "callbacks.checkpoints is set with trainer=deepspeed, whose checkpoints resume= cannot read: expected "
            "callbacks.checkpoints=null, or trainer=fsdp"
        )
    if not torch.cuda.is_available():
        raise ValueError("trainer=deepspeed needs CUDA GPUs: use trainer=fsdp or trainer=ddp")
