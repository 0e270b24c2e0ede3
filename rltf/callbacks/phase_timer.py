"""Attributes wall time to phases, and logs where each iteration's time went (`perf/seconds/*`)."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import lightning.pytorch as L

from rltf.rollouts.clock import PhaseClock
from rltf.training.module import RLTFModule


class PhaseTimer(L.Callback):
    """Training accrues as `training` (or `warmup`), validation as `evaluation`; the pipeline's own phases pause it."""

    def __init__(self, clock: PhaseClock) -> None:
        self.clock = clock
        self.pieces = 1
        """Times that this run was started, as far as its checkpoints know."""
        self._before: dict[str, float] = {}
        self._fit, self._validation = ExitStack(), ExitStack()
        self._logged: dict[str, float] = {}

    def seconds(self) -> dict[str, float]:
        """Of each phase, and those of earlier pieces of the run up to the checkpoint that it goes on from."""
        return {name: value + self._before.get(name, 0.0) for name, value in self.clock.seconds().items()}

    def state_dict(self) -> dict[str, Any]:
        """Seconds so far."""
        return {"seconds": self.seconds(), "pieces": self.pieces}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on counting."""
        self._before, self.pieces = state["seconds"], state["pieces"] + 1

    def on_fit_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The phase of this fit begins."""
        assert isinstance(module, RLTFModule)
        assert module.phase is not None
        self._fit.enter_context(self.clock("warmup" if module.phase.name == "warmup" else "training"))
        self._logged = self.clock.seconds()

    def on_validation_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Whatever validation calls is evaluation."""
        self._validation.enter_context(self.clock("evaluation", hold=True))

    def on_validation_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Back to training."""
        self._validation.close()

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """Seconds of each phase since the last row."""
        assert isinstance(module, RLTFModule)
        now = self.clock.seconds()
        module.log_row({f"perf/seconds/{phase}": now[phase] - self._logged.get(phase, 0.0) for phase in now})
        self._logged = now

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        """The phase ends."""
        self._fit.close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        """Nothing stays open."""
        self._validation.close()
        self._fit.close()
