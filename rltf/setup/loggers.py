"""Loggers of a run: one for each node of `logger`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from rltf.loggers.csv_file import CSVMetrics
from rltf.runs.legacy import TARGETS
from rltf.setup.instantiate import build


def build_loggers(cfg: DictConfig) -> list[Logger]:
    """The loggers that `logger` describes, each with the run's config; metrics.csv first, which reports and `resume`
    read.

    Raises:
        ValueError: a logger refused its options, or its package is not installed.
    """
    nodes = [name for name in cfg.get("logger") or {} if cfg.logger[name] is not None]
    loggers: list[Logger] = [build(cfg, f"logger.{name}", **_run_keywords(cfg, name)) for name in nodes]
    if not any(isinstance(logger, CSVMetrics) for logger in loggers):
        loggers.insert(0, CSVMetrics(cfg.paths.output_dir))
    config = OmegaConf.to_container(cfg, resolve=True)
    for logger in loggers:
        logger.log_hyperparams(config)  # type: ignore[arg-type]
    return sorted(loggers, key=lambda logger: not isinstance(logger, CSVMetrics))


def _run_keywords(cfg: DictConfig, name: str) -> dict[str, Any]:
    """Folder, name and group of the run for a node of W&B from version 0.1, which does not set them."""
    node = cfg.logger[name]
    if TARGETS.get(node.get("_target_"), node.get("_target_")) != "rltf.loggers.wandb.wandb_logger":
        return {}
    values = {"folder": cfg.paths.output_dir, "name": cfg.name, "group": cfg.group}
    return {key: value for key, value in values.items() if key not in node}


@rank_zero_only
def close_loggers(loggers: Sequence[Logger]) -> None:
    """Ends the loggers' runs, so that the next job of a sweep gets its own."""
    for logger in loggers:
        if hasattr(logger, "close"):
            logger.close()
