"""`metrics.csv`: one row per logged step, appended at once; a new column rewrites the file under a wider header.

Lightning's own CSV logger deletes an earlier file of the folder, so a resumed run would lose its past."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from rltf.runs.atomic import write_text
from rltf.runs.files import METRICS_FILE


class CSVMetrics(Logger):
    """Appends metrics to `folder/metrics.csv`."""

    logs_text = True

    def __init__(self, folder: str | Path) -> None:
        super().__init__()
        self.path = Path(folder) / METRICS_FILE
        self._columns: list[str] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                self._columns = next(csv.reader(file), [])

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """Empty: a run folder holds one file."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Writes nothing: the config lies in `config.yaml`."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, Any], step: int | None = None) -> None:
        """Appends one row; cells of metrics that it lacks stay empty."""
        row = {**metrics, "step": metrics.get("step", step)}
        new_columns = [name for name in row if name not in self._columns]
        if new_columns:
            self._widen(new_columns)
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow({name: _cell(value) for name, value in row.items()})

    def _widen(self, new_columns: list[str]) -> None:
        rows: list[dict[str, Any]] = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                rows = list(csv.DictReader(file))
        self._columns += new_columns
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, self._columns)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, table.getvalue())


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
