"""`python -m rltf.report PATH...`: the report of a run, of several, or of a sweep."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rltf.report.compare.settings import group_by_benchmark, group_into_rows
from rltf.report.read.folders import read_runs, run_folders
from rltf.report.read.run import Run
from rltf.report.write.files import FILE_WRITERS, write_reports
from rltf.report.write.wandb import WandbWriter, check_project
from rltf.report.write.writer import ReportWriter


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
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    code, folders = 0, []
    for path in options.paths:
        try:
            folders += run_folders(path)
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            code = 2
    runs, unread = read_runs(folders)
    for sentence in unread.values():
        print(sentence, file=sys.stderr)
    if not runs or any(path in unread for path in options.paths):
        code = 2
    try:
        _write(options, group_by_benchmark(runs), list(unread.values()))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return code


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Writes report.html (it opens offline), report.md, table.csv and figures/ of runs. Runs that "
        "differ in their seed only are one row; runs of different benchmarks get a report each.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="a run folder, or a multirun folder of them"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where to write; default: PATH itself, ./report for several"
    )
    parser.add_argument(
        "--by", nargs="+", default=[], metavar="KEY", help="config groups or keys that make a row, e.g. --by reward"
    )
    parser.add_argument("--wandb", metavar="ENTITY/PROJECT", help="also build a W&B report, published if logged in")
    parser.add_argument("--group", metavar="SWEEP", help="W&B group of the runs; default: all runs of these names")
    return parser


def _write(options: argparse.Namespace, groups: dict[str, list[Run]], unread: Sequence[str]) -> None:
    out = options.out or (options.paths[0] if len(options.paths) == 1 else Path("report"))
    if len(groups) > 1:
        sizes = ", ".join(f"{name}: {len(runs)} run{'s' * (len(runs) > 1)}" for name, runs in groups.items())
        print(f"The runs are of different held-out problems ({sizes}): a report each.", file=sys.stderr)
    for benchmark, runs in groups.items():
        folder = out if len(groups) == 1 else out / re.sub(r"[^\w.-]+", "_", benchmark).strip("_")
        rows, notices = group_into_rows(runs, options.by)
        writers: list[ReportWriter] = list(FILE_WRITERS)
        if options.wandb:
            writers.append(WandbWriter(rows, options.wandb, options.group))
        print(*write_reports(rows, [*notices, *unread], folder, writers), sep="\n")


if __name__ == "__main__":
    sys.exit(main())
