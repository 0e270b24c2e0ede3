"""The longest hooks of a profiled run, on the terminal."""

from __future__ import annotations

import lightning.pytorch as L
from lightning.pytorch.profilers import SimpleProfiler
from rich.console import Console
from rich.table import Table

from rltf.callbacks.base import RLTFCallback
from rltf.validation import require


class ProfileTable(RLTFCallback):
    """Prints a table of what RL's Trainer spent most time in. Hooks that call others hold their time, too.

    Args:
        rows: hooks in the table.
        quiet: print nothing.
        console: prints; None: standard output.
    """

    def __init__(self, rows: int = 15, quiet: bool = False, console: Console | None = None) -> None:
        require("rows", rows, at_least=1, whole=True)
        self.rows = rows
        self.console = console or Console(highlight=False, quiet=quiet)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Prints the table, at the end of RL."""
        profiler = trainer.profiler  # type: ignore[attr-defined]
        if not trainer.is_global_zero or self.module.phase_name != "rl" or not isinstance(profiler, SimpleProfiler):
            return
        recorded = profiler.recorded_durations.items()
        durations = {name: seconds for name, seconds in recorded if seconds and "].test_" not in name}
        table = Table(
            "hook", "calls", "seconds", title=f"where RL's time went; all of it in {self.folder / 'fit-profile.txt'}"
        )
        for name in sorted(durations, key=lambda name: -sum(durations[name]))[: self.rows]:
            table.add_row(name, str(len(durations[name])), f"{sum(durations[name]):.2f}")
        self.console.print(table)
