"""Loggers of a run: one for each node of `logger`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from rltf.loggers.csv_file import CSVMetrics
from rltf.runs.failures import exit_code
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


@contextmanager
def open_loggers(cfg: DictConfig) -> Iterator[list[Logger]]:
    """The loggers of `build_loggers`. At the end of the block they learn how it ended and are closed, so that the next
    job of a sweep gets its own.

    Raises:
        ValueError: as `build_loggers`.
    """
    loggers = build_loggers(cfg)
    try:
        yield loggers
    except BaseException as error:
        close_loggers(loggers, exit_code(error))
        raise
    close_loggers(loggers, 0)


@rank_zero_only
def close_loggers(loggers: Sequence[Logger], code: int) -> None:
    """Ends the loggers' runs with the exit code of the command. Lightning's loggers know `finalize("failed")`, ours and
    yours may have a method `close(code)`."""
    for logger in loggers:
        if code:
            logger.finalize("failed")
        if hasattr(logger, "close"):
            logger.close(code)
