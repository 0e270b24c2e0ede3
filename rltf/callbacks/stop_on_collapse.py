"""Stops a run that has collapsed: when a metric stays too low, what is trained on has no more to teach."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import lightning.pytorch as L

from rltf.training.module import RLTFModule
from rltf.training.ranks import all_gather

log = logging.getLogger(__name__)


class StopOnCollapse(L.Callback):
    """Watches what the first process logs in each iteration.

    Args:
        iterations: in a row for which a metric must be below its bound.
        below: metric, as a column of metrics.csv -> bound. An iteration that does not log it does not count.

    Raises:
        ValueError: the run's first iteration logs no metric of that name (other than of validation).
    """

    def __init__(self, iterations: int, below: Mapping[str, float]) -> None:
        self.iterations, self.below = iterations, dict(below)
        self.reason: str | None = None
        """Why the run was stopped."""
        self._low = dict.fromkeys(self.below, 0)
        self._checked = False

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """A run that was stopped stays so when it is resumed."""
        trainer.should_stop = self.reason is not None

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """All processes stop together."""
        assert isinstance(module, RLTFModule)
        module.log_steps()
        self.reason = all_gather(self._judge(module.pop_logged_metrics()) if trainer.is_global_zero else None)[0]
        if self.reason:
            trainer.should_stop = True
            log.warning("the run has collapsed and stops early: %s", self.reason)

    def _judge(self, logged: Mapping[str, float]) -> str | None:
        if not self._checked:
            self._check(logged)
        for name, bound in self.below.items():
            if name not in logged:
                continue
            self._low[name] = self._low[name] + 1 if logged[name] < bound else 0
            if self._low[name] >= self.iterations:
                return f"{name} was below {bound:g} in {self.iterations} iterations, in the last one {logged[name]:.3g}"
        return None

    def _check(self, logged: Mapping[str, float]) -> None:
        self._checked = True
        for name in self.below:
            if name not in logged and not name.startswith("val/"):
                raise ValueError(
                    f"callbacks.collapse.below has {name}, which this run does not log: expected one of "
                    f"{', '.join(sorted(logged))}"
                )

    def state_dict(self) -> dict[str, Any]:
        """How long each metric has been low."""
        return {"low": dict(self._low), "reason": self.reason}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on counting."""
        self._low |= {name: count for name, count in state["low"].items() if name in self._low}
        self.reason = state["reason"]
