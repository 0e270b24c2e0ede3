"""Lightning Trainers of a run, with its loggers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import Logger, WandbLogger
from omegaconf import DictConfig, OmegaConf

from rltf.callbacks.gather_weights import GatherWeights
from rltf.loggers.csv_file import CSVMetrics
from rltf.setup.instantiate import build


def make_trainer(
    cfg: DictConfig,
    folder: Path,
    loggers: Sequence[Logger],
    callbacks: Sequence[L.Callback],
    instead: Mapping[str, Any] | None = None,
) -> L.Trainer:
    """The Trainer that `cfg.trainer` describes.

    Args:
        cfg: the whole config.
        folder: the run folder.
        loggers: of metrics.
        callbacks: ours; Lightning's own bar and summary stay off.
        instead: Trainer keywords that win over `cfg.trainer`.

    Raises:
        ValueError: the strategy cannot do what is asked.
    """
    saves = any(isinstance(c, Checkpoint) for c in callbacks)
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
        **(instead or {}),
    )
    return trainer


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
            "callbacks.checkpoint is true with trainer=deepspeed, whose checkpoints resume= cannot read: expected "
            "callbacks.checkpoint=false, or trainer=fsdp"
        )
    if not torch.cuda.is_available():
        raise ValueError("trainer=deepspeed needs CUDA GPUs: use trainer=fsdp or trainer=ddp")


def make_loggers(cfg: DictConfig, folder: Path) -> list[Logger]:
    """metrics.csv, and W&B unless `logger=none`."""
    name = cfg.name or "-".join(_choices(cfg))
    wandb = build(
        cfg,
        "logger.wandb",
        folder=str(folder),
        name=name,
        group=cfg.group or _sweep_folder(cfg),
        config=OmegaConf.to_container(cfg, resolve=True),
        tags=list(cfg.reward.terms),
    )
    return [CSVMetrics(folder), *([wandb] if wandb is not None else [])]


def close_loggers(loggers: Sequence[Logger]) -> None:
    """Ends the W&B run, so that the next job of a sweep gets its own."""
    if any(isinstance(logger, WandbLogger) for logger in loggers):
        import wandb

        wandb.finish()


def _choices(cfg: DictConfig) -> list[str]:
    from hydra.core.hydra_config import HydraConfig

    if not HydraConfig.initialized():
        return [f"seed{cfg.seed}"]
    chosen = HydraConfig.get().runtime.choices
    return [str(chosen[group]) for group in ("model", "reward", "algorithm")] + [f"seed{cfg.seed}"]


def _sweep_folder(cfg: DictConfig) -> str | None:
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    if HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN:
        return str(HydraConfig.get().sweep.dir)
    return None
