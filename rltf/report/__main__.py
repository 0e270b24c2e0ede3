"""`python -m rltf.report PATH...`: the report of a run, of several, of a sweep, or of an evaluation; with `--flips`,
what one evaluation fixes and breaks against another."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

from rltf.report.compare.settings import group_by_benchmark, group_into_rows
from rltf.report.draw.chart import WIDTH, FigureStyle
from rltf.report.flips import build_flips, read_sides, summary_line
from rltf.report.follow import follow
from rltf.report.read.folders import read_runs, run_folders
from rltf.report.read.results import evaluation_folders
from rltf.report.read.run import Run
from rltf.report.write.files import file_writers, write_evaluation_report, write_reports
from rltf.report.write.html import HtmlWriter
from rltf.report.write.wandb import WandbWriter, check_project
from rltf.report.write.writer import ReportWriter

EVERY = 5.0
"""Seconds between two looks of `--follow`, and after which the page reads itself again."""


def main(arguments: Sequence[str] | None = None, prog: str = "python -m rltf.report") -> int:
    """Writes the reports and prints their pages' paths.

    Returns:
        0; 2 after a PATH that holds no run, or when nothing could be written. A job of a multirun that left nothing is
        named and left out.
    """
    options = _parser(prog).parse_args(arguments)
    try:
        if options.wandb:
            check_project(options.wandb)
        writers = file_writers(_figure_style(options))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if options.flips:
        return _report_flips(options, writers)
    if options.follow:
        print("the page is written anew when the run has logged something; Ctrl-C ends that", file=sys.stderr)
        follow(options.paths, partial(_report_silently, options), EVERY)
    return _report(options, writers)


def _report_flips(options: argparse.Namespace, writers: Sequence[ReportWriter]) -> int:
    """Writes the report of `--flips`, and prints its page's path, and its counts to standard error."""
    out = options.out or Path("flips")
    try:
        first, second = read_sides(options.paths)
        document = build_flips(first, second)
        out.mkdir(parents=True, exist_ok=True)
        pages = [writer.write(document, out) for writer in writers]
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(summary_line(first, second), file=sys.stderr)
    print(*(page for page in pages if page is not None), sep="\n")
    return 0


def _report_silently(options: argparse.Namespace) -> None:
    """Writes the page alone, which reads itself again; what is missing may still come, and is not told."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        _report(options, [HtmlWriter(refresh=EVERY)])


def _report(options: argparse.Namespace, writers: Sequence[ReportWriter]) -> int:
    code, folders, evaluations = 0, [], []
    for path in options.paths:
        try:
            evaluation_paths = evaluation_folders(path)
            evaluations += evaluation_paths
            folders += [] if evaluation_paths else run_folders(path)
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            code = 2
    runs, unread = read_runs(folders)
    for sentence in unread.values():
        print(sentence, file=sys.stderr)
    if not (runs or evaluations) or any(path in unread for path in options.paths):
        code = 2
    try:
        for folder in evaluations:
            out = options.out and (options.out / folder.resolve().name if len(evaluations) > 1 else options.out)
            print(write_evaluation_report(folder, writers, out))
        _write(options, group_by_benchmark(runs), list(unread.values()), writers)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return code


def _figure_style(options: argparse.Namespace) -> FigureStyle | None:
    """Width and font of the figures as files; None: those of the page.

    Raises:
        ValueError: no figure can be drawn so.
    """
    style = {"width": options.width, "font": options.font, "size": options.font_size}
    style = {name: value for name, value in style.items() if value is not None}
    return FigureStyle(**style) if style else None


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Writes report.html (it opens offline), report.md, table.csv, table.tex and figures/ of runs. Runs "
        "that differ in their seed only are one row; runs of different benchmarks, and evaluations, get a report each.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a folder of train.py or eval.py, or a multirun folder"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write; default: PATH itself, ./report for several"
    )
    parser.add_argument(
        "--by", nargs="+", default=[], metavar="KEY", help="config groups or keys that make a row, e.g. --by reward"
    )
    parser.add_argument(
        "--flips",
        action="store_true",
        help="compare two evaluations of the same problems, or one run before and after RL: what is fixed and what is "
        "broken, with McNemar's exact test; written to ./flips",
    )
    parser.add_argument(
        "--follow",
        action="store_true",
        help="write the page anew while runs go on, and everything once they have ended",
    )
    parser.add_argument("--width", type=float, metavar="INCHES", help=f"of the figures as files; default: {WIDTH}")
    parser.add_argument("--font", metavar="NAME", help="of the figures as files, e.g. serif; default: DejaVu Sans")
    parser.add_argument("--font-size", type=float, metavar="POINTS", help="of the figures as files; default: 8.5")
    parser.add_argument("--wandb", metavar="ENTITY/PROJECT", help="also build a W&B report, published if logged in")
    parser.add_argument("--group", metavar="SWEEP", help="W&B group of the runs; default: all runs of these names")
    return parser


def _write(
    options: argparse.Namespace, groups: dict[str, list[Run]], unread: Sequence[str], writers: Sequence[ReportWriter]
) -> None:
    out = options.out or (options.paths[0] if len(options.paths) == 1 else Path("report"))
    if len(groups) > 1:
        sizes = ", ".join(f"{name}: {len(runs)} run{'s' * (len(runs) > 1)}" for name, runs in groups.items())
        print(f"The runs are of different held-out problems ({sizes}): a report each.", file=sys.stderr)
    for benchmark, runs in groups.items():
        folder = out if len(groups) == 1 else out / re.sub(r"[^\w.-]+", "_", benchmark).strip("_")
        rows, notices = group_into_rows(runs, options.by)
        further = [WandbWriter(rows, options.wandb, options.group)] if options.wandb else []
        print(*write_reports(rows, [*notices, *unread], folder, [*writers, *further]), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
