"""Progress of a run on the console: one live line in a terminal, one plain line per iteration elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence

import lightning.pytorch as L
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from rltf.callbacks.base import RLTFCallback
from rltf.training.module import RLTFModule
from rltf.types import Outcome, Rollout
from rltf.validation import require

LABELS = {
    "passed": (Outcome.PASSED,),
    "wrong": (Outcome.WRONG_ANSWER,),
    "runtime": tuple(o for o in Outcome if o.is_error),
    "syntax": (Outcome.SYNTAX_ERROR,),
}
"""Label of a share -> outcomes that it counts."""


class Progress(RLTFCallback):
    """Phase, iteration, mean reward, outcome shares and validation pass@1.

    Args:
        every: seconds between plain warm-up lines when the output is no terminal.
        console: prints; a terminal gets a live line. None: standard output.
    """

    def __init__(self, every: float = 10.0, console: Console | None = None) -> None:
        require("every", every, at_least=0)
        self.console = console or Console(soft_wrap=True, highlight=False)
        self.every = every
        self._live: Live | None = None
        self._feedback = ""
        self._pass_at_1: float | None = None
        self._printed_at = 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Opens the live line."""
        if trainer.is_global_zero and self.console.is_terminal:
            self._live = Live(console=self.console, refresh_per_second=4, transient=True)
            self._live.start()
        self._printed_at = time.monotonic()

    def on_rollouts(self, trainer: L.Trainer, module: RLTFModule, groups: Sequence[Sequence[Rollout]]) -> None:
        """Shares of this iteration's programs."""
        rollouts = [r for group in groups for r in group if not r.program.greedy]
        if not rollouts:
            return
        mean = sum(r.reward for r in rollouts) / len(rollouts)
        shares = {
            label: sum(r.verdict.outcome in outcomes for r in rollouts) / len(rollouts)
            for label, outcomes in LABELS.items()
        }
        self._feedback = f"reward {mean:+.2f}  " + " ".join(f"{label} {share:.0%}" for label, share in shares.items())
        if unjudgeable := [r for r in self.data.pipeline.unjudgeable if not r.program.greedy]:
            self._feedback += f" ({len(unjudgeable)} more could not be judged)"
        self._show(trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Moves the bar."""
        seconds = time.monotonic()
        if self._live is not None:
            if seconds - self._printed_at > 0.2:
                self._printed_at = seconds
                self._show(trainer)
        elif trainer.is_global_zero and self._in_warmup and seconds - self._printed_at > self.every:
            self._printed_at = seconds
            self._print(trainer)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """One plain line an iteration when there is no terminal."""
        if trainer.is_global_zero and self._live is None:
            self._print(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Remembers pass@1."""
        value = trainer.callback_metrics.get("val/pass@1")
        if value is not None and not trainer.sanity_checking:
            self._pass_at_1 = float(value)
            if trainer.is_global_zero and self._live is None:
                self.console.print(f"         validation pass@1 {self._pass_at_1:.1%}")

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Closes the live line and leaves its last state."""
        self._close(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Gives the terminal back."""
        self._close(trainer)

    def _close(self, trainer: L.Trainer) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
            self._print(trainer)

    def _show(self, trainer: L.Trainer) -> None:
        if self._live is None:
            return
        grid = Table.grid(padding=(0, 2))
        step, steps = self._position(trainer)
        grid.add_row(self._text(trainer))
        grid.add_row(ProgressBar(total=steps, completed=step, width=40))
        self._live.update(grid)

    def _print(self, trainer: L.Trainer) -> None:
        self.console.print(self._text(trainer))

    def _text(self, trainer: L.Trainer) -> str:
        if self._in_warmup:
            step, steps = self._position(trainer)
            loss = self.module.last_loss
            return f"warm-up  step {step}/{steps}" + ("" if loss is None else f"  loss {loss:.3f}")
        parts = [f"rl       {min(trainer.current_epoch + 1, trainer.max_epochs or 0)}/{trainer.max_epochs}"]
        if self._feedback:
            parts.append(self._feedback)
        if self._pass_at_1 is not None:
            parts.append(f"val pass@1 {self._pass_at_1:.1%}")
        return "  ".join(parts)

    @property
    def _in_warmup(self) -> bool:
        return self.module.phase_name == "warmup"

    def _position(self, trainer: L.Trainer) -> tuple[int, int]:
        """Optimiser steps done, and those of the phase."""
        plan = self.data.plan
        assert plan is not None
        if plan.total_updates is not None:  # a phase whose last epoch is shorter, which Lightning does not know
            return trainer.global_step, plan.total_updates
        return trainer.global_step, int(trainer.estimated_stepping_batches)
