"""Wall time by phase of a run, and `perf/seconds/*`: where each iteration's time went."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import lightning.pytorch as L

from rltf.callbacks.base import RLTFCallback
from rltf.rollouts.clock import PhaseClock


class PhaseTimer(RLTFCallback):
    """Books training as `training` (or `warmup`) and validation as `evaluation` on the pipeline's clock, whose own
    phases interrupt these."""

    def __init__(self) -> None:
        self.starts = 1
        """Times that this run was started, as far as its checkpoints know."""
        self._earlier_seconds: dict[str, float] = {}
        self._fit, self._validation = ExitStack(), ExitStack()
        self._logged: dict[str, float] = {}

    @property
    def clock(self) -> PhaseClock:
        """The clock of the run's pipeline."""
        return self.data.pipeline.clock

    def seconds(self, clock: PhaseClock) -> dict[str, float]:
        """Seconds of each phase of the run's clock, with those of earlier starts up to the checkpoint that the run was
        resumed from."""
        return {name: value + self._earlier_seconds.get(name, 0.0) for name, value in clock.seconds().items()}

    def state_dict(self) -> dict[str, Any]:
        """Seconds of each phase so far, and the number of starts."""
        return {"seconds": self.seconds(self.clock), "pieces": self.starts}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Adds the seconds of a run that is resumed."""
        self._earlier_seconds, self.starts = state_dict["seconds"], state_dict["pieces"] + 1

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins the phase of this fit."""
        self._fit.enter_context(self.clock("warmup" if self.module.phase_name == "warmup" else "training"))
        self._logged = self.clock.seconds()

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begins `evaluation`, with all that validation calls."""
        self._validation.enter_context(self.clock("evaluation", exclusive=True))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ends `evaluation`."""
        self._validation.close()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Logs the seconds of each phase since the last row."""
        seconds = self.clock.seconds()
        spent = {phase: total - self._logged.get(phase, 0.0) for phase, total in seconds.items()}
        self.module.log_row({f"perf/seconds/{phase}": duration for phase, duration in spent.items()})
        self._logged = seconds

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Ends the phase of this fit."""
        self._fit.close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Ends every open phase."""
        self._validation.close()
        self._fit.close()
