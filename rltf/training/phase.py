"""What is optimised for how long, and how fast."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rltf.algorithms.loss_mix import LossMix


@dataclass(frozen=True, slots=True)
class Phase:
    """What is optimised, and how fast."""

    name: str
    """`warmup` or `rl`; the column `phase` of metrics.csv."""
    mix: LossMix
    lr: float
    """Peak learning rate."""
    warmup_steps: int = 0
    """Optimiser steps of linear warm-up; constant afterwards."""
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    decay_steps: int | None = None
    """Optimiser steps after which a cosine has brought the rate to a tenth; None: constant."""

    def rate(self, step: int) -> float:
        """Factor of the learning rate at an optimiser step."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.decay_steps is None:
            return 1.0
        done = min(1.0, (step - self.warmup_steps) / max(1, self.decay_steps - self.warmup_steps))
        return 0.1 + 0.45 * (1 + math.cos(math.pi * done))
