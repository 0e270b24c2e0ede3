"""A phase of training: its loss, its optimiser and its learning-rate schedule."""

from __future__ import annotations

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch.nn import Parameter
from torch.optim import Adam, AdamW, Optimizer

from rltf.algorithms.loss_mix import LossMix
from rltf.algorithms.target import TargetNetwork
from rltf.policies.precision import movable_share
from rltf.training.auxiliary import Auxiliary

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Loss, optimiser and learning-rate schedule of one `fit`."""

    name: Literal["warmup", "rl"]
    """The column `phase` of metrics.csv."""
    mix: LossMix
    optimizer: Callable[..., Optimizer]
    """Makes the optimiser from parameters and the keyword `lr`: an optimiser class, or a partial of one."""
    lr: float
    """Peak learning rate."""
    warmup_steps: int = 0
    """Optimiser steps of linear warm-up; constant afterwards."""
    decay_steps: int | None = None
    """Optimiser steps after which a cosine has brought the rate to a tenth of the peak; None: constant."""
    target: TargetNetwork | None = None
    """How fast a moving average of the policy follows it; None: the loss needs none."""
    auxiliary: Auxiliary | None = None
    """A loss beside that of the mix; None: there is none."""

    def make_optimizer(self, parameters: Iterable[Parameter] | Sequence[dict[str, Any]], fused: bool) -> Optimizer:
        """The optimiser of these parameters; a rate at which most of them cannot move is told.

        Args:
            parameters: what it updates: parameters, or groups of them (see `Policy.parameter_groups`).
            fused: one kernel per step, for optimisers that have this option and where `optimizer` leaves it open.
        """
        option = inspect.signature(self.optimizer).parameters.get("fused")
        options = {"fused": fused} if option is not None and option.default is None else {}
        trained = list(parameters)
        optimizer = self.optimizer(trained, lr=self.lr, **options)
        at_lr = [p for p in trained if isinstance(p, Parameter)]  # groups have rates of their own
        # Others than Adam move by the rate times a gradient that nobody knows yet.
        if at_lr and isinstance(optimizer, Adam | AdamW) and (share := movable_share(at_lr, self.lr)) < 0.5:
            key = "optimizer.lr" if self.name == "rl" else "warmup.lr"
            log.warning(
                "%s is %g: such a step leaves %.0f%% of the weights as they are", key, self.lr, 100 * (1 - share)
            )
        return optimizer

    def lr_factor(self, step: int) -> float:
        """The learning rate at an optimiser step, as a share of the peak."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.decay_steps is None:
            return 1.0
        progress = min(1.0, (step - self.warmup_steps) / max(1, self.decay_steps - self.warmup_steps))
        return 0.1 + 0.45 * (1 + math.cos(math.pi * progress))
