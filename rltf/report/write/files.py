"""Run folders in, `report.html` and its companions out."""

from __future__ import annotations

import csv
import io
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from rltf.report.compare.results import Result, results_of
from rltf.report.compare.settings import Row, rows_of
from rltf.report.compare.statistics import Estimate
from rltf.report.contents import document
from rltf.report.document import Document
from rltf.report.draw.chart import inline, styled, svg_of, write_files
from rltf.report.read.run import FILES, Run, read_run
from rltf.report.write.escape import text
from rltf.report.write.html import page
from rltf.report.write.markdown import markdown

COLUMNS = ("measure", "row", "runs", "seeds")
ESTIMATES = ("before", "after", "gain", "difference")


def write_report(run_dir: Path) -> Path:
    """Writes `report.html` into a run folder, finished or not.

    Args:
        run_dir: holds `metrics.csv`, `rollouts.jsonl` or `summary.json`.

    Returns:
        The page's path.

    Raises:
        ValueError: the folder is no run folder, or nothing in it can be shown.
    """
    rows, said = rows_of([read_run(run_dir)])
    return _page(document(rows, said, run_dir), run_dir)


def write_reports(rows: Sequence[Row], notices: Sequence[str], out: Path) -> Document:
    """Writes `report.html`, `report.md`, `table.csv` and `figures/` (PNG and SVG) of some rows.

    Args:
        rows: of one benchmark.
        notices: sentences for the top of the report.
        out: folder, made if need be.

    Returns:
        What they say.
    """
    figures = out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    said = document(rows, notices, out)
    _page(said, out, figures)
    _write(out / "report.md", markdown(said, "figures"))
    _write(out / "table.csv", table_csv(results_of(rows)))
    return said


def table_csv(results: Sequence[Result]) -> str:
    """One line a measure and row; shares between 0 and 1, empty where there is no value."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")),
                     "seeds_better", "seeds_compared"])  # fmt: skip
    for r in results:
        cells = [r.measure, r.row, len(r.seeds), " ".join(map(str, r.seeds))]
        for estimate in (r.before, r.after, r.gain, r.difference or Estimate(float("nan"))):
            cells += [_number(value) for value in (estimate.value, estimate.low, estimate.high)]
        writer.writerow([*cells, *(r.better or ("", ""))])
    return file.getvalue()


def run_folders(path: Path) -> list[Path]:
    """The run folder that `path` is, or those right inside it (a multirun), by their numbers.

    Raises:
        ValueError: there is none.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist: expected a run folder")
    if _is_run(path) or not path.is_dir():
        return [path]
    inside = sorted((folder for folder in path.iterdir() if folder.is_dir() and _is_job(folder)), key=_natural)
    if not any(map(_is_run, inside)):
        raise ValueError(f"{path} is no run folder and holds none: expected {' or '.join(FILES)}")
    return inside


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], dict[Path, str]]:
    """The runs that can be read, none twice, and a sentence on each folder that cannot."""
    runs, unread = [], {}
    for folder in {folder.resolve(): folder for folder in folders}.values():
        try:
            runs.append(read_run(folder))
        except (ValueError, OSError) as error:
            unread[folder] = str(error)
    return runs, unread


def _page(said: Document, folder: Path, figures: Path | None = None) -> Path:
    drawings = {}
    for chart in said.charts:
        with styled(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in files; a browser has more fonts
            figure = chart.draw()
            svg = svg_of(figure)
            if figures is not None:
                write_files(figure, svg, figures, chart.name)
        drawings[chart.name] = inline(svg, chart.name, text(chart.title))
    return _write(folder / "report.html", page(said, drawings))


def _write(path: Path, content: str) -> Path:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    # "replace": lone surrogates, which JSON can hold and UTF-8 cannot
    beside.write_text(content, encoding="utf-8", errors="replace")
    os.replace(beside, path)
    return path


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in FILES)


def _is_job(path: Path) -> bool:
    """True for a run's folder, even if the run left nothing but its config."""
    return _is_run(path) or (path / ".hydra").is_dir()


def _natural(path: Path) -> list[tuple[int, str]]:
    """Job 10 comes behind job 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name) if part]


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.6f}"
