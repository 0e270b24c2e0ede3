"""Writing all files of a report into a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rltf.report.compare.settings import Row, group_into_rows
from rltf.report.contents import build_document
from rltf.report.draw.chart import FigureStyle
from rltf.report.evaluation import build_evaluation
from rltf.report.read.results import read_evaluation
from rltf.report.read.run import read_run
from rltf.report.write.html import HtmlWriter
from rltf.report.write.markdown import MarkdownWriter
from rltf.report.write.table import CsvWriter, LatexWriter
from rltf.report.write.writer import ReportWriter

FIGURES = "figures"


def file_writers(style: FigureStyle | None = None) -> tuple[ReportWriter, ...]:
    """Writers of `report.html` with `figures/`, `report.md`, `table.csv` and `table.tex`; `style` is that of the
    figures."""
    return (HtmlWriter(FIGURES, style), MarkdownWriter(FIGURES), CsvWriter(), LatexWriter())


def write_report(run_dir: Path) -> Path:
    """Writes `report.html` into a run folder, finished or not.

    Args:
        run_dir: holds `metrics.csv`, `rollouts.jsonl` or `summary.json`.

    Returns:
        The page's path.

    Raises:
        ValueError: the folder is no run folder, or nothing in it can be shown.
    """
    rows, notices = group_into_rows([read_run(run_dir)])
    return Path(HtmlWriter().write(build_document(rows, notices, run_dir), run_dir))


def write_evaluation_report(
    folder: Path, writers: Sequence[ReportWriter] | None = None, out: Path | None = None
) -> str:
    """Writes the report of an evaluation.

    Args:
        folder: of `eval.py`.
        writers: one for each form; None: the page alone.
        out: where to write, made if need be; None: the folder itself.

    Returns:
        The page's path.

    Raises:
        ValueError: `results.json` cannot be read.
    """
    document, out = build_evaluation(read_evaluation(folder)), out or folder
    out.mkdir(parents=True, exist_ok=True)
    lines = [writer.write(document, out) for writer in (writers or [HtmlWriter()])]
    return next(line for line in lines if line is not None)


def write_reports(
    rows: Sequence[Row], notices: Sequence[str], folder: Path, writers: Sequence[ReportWriter] | None = None
) -> list[str]:
    """Writes the report of some rows in several forms.

    Args:
        rows: of one benchmark.
        notices: sentences for the top of the report.
        folder: made if need be.
        writers: one for each form; None: those of all files.

    Returns:
        Lines for the user: where the report is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    report = build_document(rows, notices, folder)
    lines = [writer.write(report, folder) for writer in (file_writers() if writers is None else writers)]
    return [line for line in lines if line is not None]
