"""The held-out results as a CSV file, for spreadsheets and further plots, and as a LaTeX table for papers."""

from __future__ import annotations

import csv
import io
import re
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


class LatexWriter:
    """Writes `table.tex`, a `tabular` that needs the package `booktabs`."""

    def write(self, document: Document, folder: Path) -> None:
        """Writes the file, if there are results."""
        if document.results:
            write_text(folder / "table.tex", table_latex(document.results), errors="replace")


def table_latex(results: Sequence[Result]) -> str:
    """A row per measure and row of the report; shares and differences in per cent, 95 % intervals in brackets."""
    several_rows = len({r.row for r in results}) > 1
    head = ["row"] * several_rows + ["measure", "seeds", "before RL", "after RL", "gain"]
    head += ["to the first row"] * several_rows
    lines = [
        "% shares and differences in per cent, in brackets 95 % intervals; \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{'l' * (several_rows + 1)}{'r' * (len(head) - several_rows - 1)}}}",
        "\\toprule",
        " & ".join(head) + r" \\",
        "\\midrule",
    ]
    for i, r in enumerate(results):
        if several_rows and i and r.measure != results[i - 1].measure:
            lines.append("\\midrule")
        cells = [latex(r.row)] * several_rows + [latex(r.measure), str(len(r.seeds))]
        cells += [_latex_estimate(r.before_rl), _latex_estimate(r.after_rl), _latex_estimate(r.gain, signed=True)]
        if several_rows:
            cells.append(_latex_estimate(r.difference, signed=True) if r.difference else "")
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"]) + "\n"


def latex(text: str) -> str:
    """Text that LaTeX shows as it is.

    >>> print(latex("a_b & 5%"))
    a\\_b \\& 5\\%
    """
    commands = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[\\~^&%$#_{}]", lambda match: commands.get(match[0], "\\" + match[0]), text)


def _latex_estimate(estimate: Estimate, signed: bool = False) -> str:
    sign = "+" if signed else ""
    bounds = estimate.interval
    interval = f" [{100 * bounds[0]:{sign}.1f}, {100 * bounds[1]:{sign}.1f}]" if bounds else ""
    return f"${100 * estimate.value:{sign}.1f}{interval}$"


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.6f}"
