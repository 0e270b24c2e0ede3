"""Ends RL early when it has collapsed: when a metric stays too low, the programs have no more to teach."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback
from rltf.training.ranks import all_gather
from rltf.validation import OptionError, require

log = logging.getLogger(__name__)


class StopOnCollapse(RLTFCallback):
    """Watches what the first process logs in each RL iteration.

    Args:
        below: metric, as a column of metrics.csv -> bound; None: the run is never stopped. An iteration that does not
            log the metric does not count.
        iterations: in a row for which a metric must be below its bound.

    Raises:
        ValueError: the run's first iteration logs no metric of that name (other than of validation).
    """

    def __init__(self, below: Mapping[str, float] | None = None, iterations: int = 10) -> None:
        require("iterations", iterations, at_least=1, whole=True)
        for name, bound in (below or {}).items():
            require(f"below.{name}", bound)
        self.iterations, self.below = iterations, dict(below or {})
        self.reason: str | None = None
        """Why the run was stopped."""
        self._iterations_below = dict.fromkeys(self.below, 0)
        self._checked = False

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A run that was stopped stays so when it is resumed."""
        if self._watches:
            trainer.should_stop = self.reason is not None

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stops all processes together."""
        if not self._watches:
            return
        self.module.log_steps()
        self.reason = all_gather(
            self._find_reason(self.module.pop_logged_metrics()) if trainer.is_global_zero else None
        )[0]
        if self.reason:
            trainer.should_stop = True
            log.warning("the run has collapsed and stops early: %s", self.reason)

    @property
    def _watches(self) -> bool:
        return bool(self.below) and self.module.phase_name == "rl"

    def _find_reason(self, metrics: Mapping[str, float]) -> str | None:
        if not self._checked:
            self._check_names(metrics)
        for name, bound in self.below.items():
            if name not in metrics:
                continue
            self._iterations_below[name] = self._iterations_below[name] + 1 if metrics[name] < bound else 0
            if self._iterations_below[name] >= self.iterations:
                return (
                    f"{name} was below {bound:g} in {self.iterations} iterations, in the last one {metrics[name]:.3g}"
                )
        return None

    def _check_names(self, metrics: Mapping[str, float]) -> None:
        self._checked = True
        for name in self.below:
            if name not in metrics and not name.startswith("val/"):
                raise OptionError(
                    "below", self.below, f"metrics that this run logs, and it logs {', '.join(sorted(metrics))}"
                ).below("callbacks.stop_on_collapse")

    def state_dict(self) -> dict[str, Any]:
        """Iterations in a row for which each metric has been below its bound."""
        return {"low": dict(self._iterations_below), "reason": self.reason}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continues the counts of a run that is resumed."""
        counts = state_dict["low"].items()
        self._iterations_below |= {name: count for name, count in counts if name in self._iterations_below}
        self.reason = state_dict["reason"]
