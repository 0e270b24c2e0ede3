"""Means of metrics over steps, and the rows that loggers write of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor


class StepMetrics:
    """Detached scalars of many micro-batches. They stay on the device: `means` makes one transfer of all."""

    def __init__(self) -> None:
        self._values: dict[str, list[Tensor]] = {}

    def add(self, metrics: Mapping[str, Tensor]) -> None:
        """Adds the values of one micro-batch."""
        for name, value in metrics.items():
            self._values.setdefault(name, []).append(value.detach())

    def means(self) -> dict[str, float]:
        """Mean of each metric over the micro-batches since the last call; the maximum of names that end in `_max`."""
        names = list(self._values)
        if not names:
            return {}
        reduced = [
            torch.stack([v.float() for v in self._values[n]]).max()
            if n.endswith("_max")
            else torch.stack([v.float() for v in self._values[n]]).mean()
            for n in names
        ]
        values = torch.stack(reduced).tolist()
        self._values.clear()
        return dict(zip(names, values, strict=True))


def log_row(loggers: Iterable[Logger], row: Mapping[str, float], *, phase: str, iteration: int, step: int) -> None:
    """Writes one row with every logger; `phase` with those that take text (they have `logs_text`).

    Args:
        loggers: of the trainer.
        row: metric -> value.
        phase: `warmup` or `rl`.
        iteration: 0-based.
        step: optimiser steps over all phases.
    """
    for logger in loggers:
        text = {"phase": phase} if getattr(logger, "logs_text", False) else {}
        logger.log_metrics({**text, "iteration": iteration, **row}, step=step)  # type: ignore[dict-item]
