"""`metrics.csv`: one row a logged step, appended at once; a new column rewrites the file under a wider header.

Lightning's own CSV logger deletes an earlier file of the folder, so a resumed run would lose its past."""

from __future__ import annotations

import csv
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only


class CSVMetrics(Logger):
    """Appends metrics to `folder/metrics.csv`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "metrics.csv"
        self._columns: list[str] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self._columns = next(csv.reader(file), [])

    @property
    def name(self) -> str:
        """Of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """None is kept."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: the config lies in `.hydra/`."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Writes one row; cells of metrics that it lacks stay empty."""
        row = {**metrics, "step": metrics.get("step", step)}
        new = [name for name in row if name not in self._columns]
        if new:
            self._widen(new)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow({k: _cell(v) for k, v in row.items()})

    def _widen(self, new: list[str]) -> None:
        rows: list[dict[str, Any]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        self._columns += new
        beside = self.path.with_suffix(".csv.new")
        with beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(beside, self.path)


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
