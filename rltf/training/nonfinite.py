"""Optimiser steps that are skipped, since their gradient is not finite."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import torch

from rltf.training.micro_batches import TrainBatch

log = logging.getLogger(__name__)

MAX_NONFINITE_STEPS = 20
"""Skipped steps in a row before the run stops: half precision needs up to 16 until its loss scale is low enough."""


class SkippedSteps:
    """Counts skipped steps in a row, and stops the run after `MAX_NONFINITE_STEPS`."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def reset(self) -> None:
        """Begins the count anew: the gradient of a step was finite."""
        self._in_a_row = 0

    def add(self, step: int, batch: TrainBatch | None, folder: Path, writes: bool) -> None:
        """Counts a skipped step.

        Args:
            step: optimiser steps so far.
            batch: last micro-batch of the step.
            folder: of the run.
            writes: this process writes `bad_batch.pt` when the run stops.

        Raises:
            FloatingPointError: it is the last of `MAX_NONFINITE_STEPS` in a row.
        """
        self._in_a_row += 1
        if self._in_a_row < MAX_NONFINITE_STEPS:
            log.warning("step %d: the gradient is not finite, the step is skipped", step)
            return
        path = folder / "bad_batch.pt"
        if batch is not None and writes:
            torch.save({name: dataclasses.asdict(part) for name, part in batch.batches.items()}, path)
        raise FloatingPointError(
            f"the gradient was not finite in {MAX_NONFINITE_STEPS} steps in a row; the last batch is in {path}"
        )
