"""Title, facts, commands and headline numbers above the sections, and versions below them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from shlex import quote
from typing import Any

from rltf.report.compare.results import Result
from rltf.report.compare.settings import Row, all_runs
from rltf.report.document import Table, table
from rltf.report.draw.numbers import duration, percent
from rltf.report.read.run import as_object
from rltf.report.sections.metrics import phase_seconds
from rltf.runs.defaults import differences

LONGEST_VALUE = 80
"""Characters of a key's value that are shown."""
MOST_TILES = 4
"""Most rows whose results are headline numbers, too."""


def title(rows: Sequence[Row]) -> str:
    """Model, benchmark and reward, as far as all runs share them."""
    runs = all_runs(rows)
    values = [{str(run.summary[k]) for run in runs if run.summary.get(k)} for k in ("model", "benchmark", "reward")]
    shared = ", ".join(next(iter(names)) for names in values if len(names) == 1)
    if len(runs) == 1:
        return f"RLTF run: {shared or runs[0].folder.name}"
    return f"RLTF, {len(rows)} {'row' if len(rows) == 1 else 'rows'} of {len(runs)} runs: {shared}"


def facts(rows: Sequence[Row], folder: Path) -> tuple[tuple[str, str], ...]:
    """Names and values of the line below the title."""
    runs = all_runs(rows)
    if len(runs) == 1:
        run = runs[0]
        pairs = [(k, str(run.summary[k])) for k in ("status", "algorithm", "seed") if run.summary.get(k) is not None]
        if isinstance(started := run.summary.get("started"), str):
            pairs.append(("started", started.replace("T", " ")[:16]))
        return (*pairs, ("folder", run.folder.resolve().name))
    pairs = [("benchmark", str(next(filter(None, (run.benchmark for run in runs)), "unknown")))]
    problem_counts = {run.summary.get("problems") for run in runs} - {None}
    if len(problem_counts) == 1:
        pairs.append(("held-out problems", str(*problem_counts)))
    return (*pairs, ("folder", folder.resolve().name))


def tiles(rows: Sequence[Row], results: Sequence[Result]) -> tuple[tuple[str, str], ...]:
    """Names and values of the headline numbers."""
    runs = all_runs(rows)
    headline_results = [r for r in results if r.measure == results[0].measure]
    pairs = []
    for r in headline_results if len(headline_results) <= MOST_TILES else []:
        name = f"held-out {r.measure}" + (f", {r.row}" if len(rows) > 1 else "")
        pairs.append((name, f"{percent(r.before_rl.value)} → {percent(r.after_rl.value)}"))
    names = {"iterations": "iterations", "optimizer_steps": "optimiser steps", "programs_judged": "programs judged"}
    for key, name in names.items() if len(runs) == 1 else []:
        if isinstance(runs[0].summary.get(key), int):
            pairs.append((name, f"{runs[0].summary[key]:,}"))
    if seconds := sum(sum(phase_seconds(run).values()) for run in runs):
        pairs.append(("wall time" if len(runs) == 1 else "wall time of all runs", duration(seconds)))
    return tuple(pairs)


def commands(rows: Sequence[Row]) -> tuple[str, ...]:
    """Command lines: one multirun where the runs are all combinations of some values, else a command per row."""
    overrides = [tuple(o.partition("=")[::2] for o in run.overrides) for run in all_runs(rows)]
    if not any(overrides):
        return ("python train.py",) if all(run.config for run in all_runs(rows)) else ()
    keys = [key for key, _ in overrides[0]]
    if len(overrides) > 1 and all([key for key, _ in pairs] == keys for pairs in overrides):
        values = [list(dict.fromkeys(pairs[i][1] for pairs in overrides)) for i in range(len(keys))]
        if prod(map(len, values)) == len(set(overrides)) == len(overrides):
            sweep = [f"{key}={','.join(choices)}" for key, choices in zip(keys, values, strict=True)]
            return (command(["-m", *sweep]),)
    return tuple(command(row.runs[0].overrides) for row in rows)


def command(arguments: Sequence[str], script: str = "train.py") -> str:
    """The command line of these arguments."""
    return " ".join((f"python {script}", *map(quote, arguments)))


def settings(rows: Sequence[Row]) -> Table | None:
    """Keys of the only run that differ from the defaults; None for several runs, and where no config was recorded."""
    runs = all_runs(rows)
    return settings_table(runs[0].config, "train") if len(runs) == 1 else None


def settings_table(config: Mapping[str, Any], command: str) -> Table | None:
    """The same of a recorded config of `train` or `eval`."""
    differing = differences(config, command) if config else {}
    body = [[key, _value(value), _value(default)] for key, (value, default) in differing.items()]
    return table(["key", "this run", "default"], body, "As they stand in the config; a model brings its recipe.")


def _value(value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " …"


def versions(rows: Sequence[Row]) -> str:
    """Packages and their versions in the runs."""
    by_package: dict[str, dict[str, None]] = {}
    for run in all_runs(rows):
        for package, version in as_object(run.summary.get("versions")).items():
            by_package.setdefault(str(package), {})[str(version)] = None
    return ", ".join(f"{package} {' and '.join(distinct)}" for package, distinct in by_package.items())
