"""The held-out results as a CSV file, for spreadsheets and further plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from rltf.report.compare.results import Result
from rltf.report.compare.statistics import Estimate
from rltf.report.document import Document
from rltf.runs.atomic import write_text

COLUMNS = ("measure", "row", "runs", "seeds")
ESTIMATES = ("before", "after", "gain", "difference")
"""Columns of a value, each with two further ones for its interval."""


class CsvWriter:
    """Writes `table.csv`."""

    def write(self, document: Document, folder: Path) -> None:
        """Writes the file."""
        write_text(folder / "table.csv", table_csv(document.results), errors="replace")


def table_csv(results: Sequence[Result]) -> str:
    """One line per measure and row; shares between 0 and 1, empty where there is no value."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")),
                     "seeds_better", "seeds_compared"])  # fmt: skip
    for r in results:
        cells = [r.measure, r.row, len(r.seeds), " ".join(map(str, r.seeds))]
        for estimate in (r.before_rl, r.after_rl, r.gain, r.difference or Estimate(float("nan"))):
            cells += [_number(value) for value in (estimate.value, estimate.low, estimate.high)]
        writer.writerow([*cells, *(r.better_seeds or ("", ""))])
    return file.getvalue()


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.6f}"
