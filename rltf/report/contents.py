"""What a report of some rows says: sections in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import prod
from pathlib import Path
from shlex import quote

from rltf.report.compare.results import Result, measures, results_of, value
from rltf.report.compare.settings import Row
from rltf.report.compare.statistics import Estimate
from rltf.report.document import Document, Table, section, table
from rltf.report.draw.bars import BEFORE, Series, dot_chart
from rltf.report.draw.chart import Chart
from rltf.report.draw.numbers import duration, percent, points
from rltf.report.read.critic import critic_tables
from rltf.report.read.examples import Example
from rltf.report.read.run import Run
from rltf.report.sections.heldout import curve_chart, errors_parts, flow_parts, heldouts, kinds_parts
from rltf.report.sections.metrics import (
    OUTCOMES,
    critic_charts,
    learning_charts,
    phase_seconds,
    policy_charts,
    time_charts,
)

MOST_TILES = 4
"""Rows whose results stand above the table, too."""
MOST_PROGRAMS = 30
"""In the gallery of a report of several runs."""


def document(rows: Sequence[Row], notices: Sequence[str], folder: Path) -> Document:
    """The report.

    Args:
        rows: of one benchmark; at least one run.
        notices: on the choice of runs; those of the runs are added.
        folder: where the report will lie.
    """
    runs = [run for row in rows for run in row.runs]
    results = results_of(rows)
    heldout = heldouts(rows)
    alone = len(runs) == 1
    sections = [
        *section(
            "Held-out results", _results(results, alone), _results_chart(results, rows), curve_chart(heldout, rows)
        ),
        *section("Learning", *learning_charts(rows)),
        *section("What became of the programs", *flow_parts(heldout), *errors_parts(heldout, rows)),
        *section("Held-out problems by kind", *kinds_parts(heldout, rows)),
        *section("The policy", *policy_charts(rows)),
        *section("The critic", *critic_charts(rows), *(_critic(runs[0]) if alone else [])),
        *section("Where the time went", *time_charts(rows)),
        *([] if alone else section("Runs", _runs(rows))),
    ]
    said = [
        *notices,
        *(f"{run.folder.name}: {notice}" if not alone else notice for run in runs for notice in run.notices),
    ]
    said += _missing(rows, alone)
    return Document(
        title=_title(rows),
        facts=_facts(rows, folder),
        commands=commands_of(rows),
        tiles=_tiles(rows, results),
        notices=tuple(said),
        sections=tuple(sections),
        gallery=_gallery(rows),
        versions=_versions(rows),
    )


# -------------------------------------------------------------------------------------------------- held-out results


def _results(results: Sequence[Result], alone: bool) -> Table | None:
    several = len({r.row for r in results}) > 1
    head = [*(["row"] if several else []), "measure", *([] if alone else ["seeds"]), "before RL", "after RL", "gain"]
    head += ["to the first row", "seeds better"] if several else []
    body = []
    for r in results:
        cells = [*([r.row] if several else []), r.measure, *([] if alone else [str(len(r.seeds))])]
        cells += [written(r.before), written(r.after), shift(r.gain)]
        if several:
            cells += [
                shift(r.difference) if r.difference else "",
                f"{r.better[0]} of {r.better[1]}" if r.better else "",
            ]
        body.append(cells)
    return table(head, body, _results_note(results, alone, several))


def _results_note(results: Sequence[Result], alone: bool, several: bool) -> str:
    if alone:
        with_intervals = any(r.after.interval for r in results)
        said = "In brackets the 95 % interval over problems (bootstrap)." if with_intervals else ""
        return f"{said} One seed: nothing here says how much another seed would differ.".strip()
    said = "In brackets the 95 % interval over seeds (Student's t)."
    single = [r.row for r in results if len(r.seeds) == 1]
    if single:
        said += f" One seed only, so no interval: {', '.join(dict.fromkeys(single))}."
    if several:
        said += " Differences to the first row are paired by problem, and by seed where both rows have the same seeds; "
        said += "their intervals are a bootstrap over problems and seeds."
        if any(r.difference is not None and r.difference.interval is None for r in results):
            said += " They need two seeds a row and evaluation.json in each run."
    return said


def _results_chart(results: Sequence[Result], rows: Sequence[Row]) -> Chart | None:
    """Before and after with intervals: measures of one row, or pass@1 of several."""
    if len(rows) == 1:
        names, chosen = [r.measure for r in results], results
    else:
        chosen = [r for r in results if r.measure == results[0].measure]
        names = [r.row for r in chosen]
    shown: Series = [
        (BEFORE, None, {n: r.before for n, r in zip(names, chosen, strict=True)}),
        ("after RL", 0, {n: r.after for n, r in zip(names, chosen, strict=True)}),
    ]
    title = "Held-out pass@k" if len(rows) == 1 else f"Held-out {results[0].measure}" if results else ""
    return dot_chart("heldout", title, names, shown)


# -------------------------------------------------------------------------------------------------- the rest


def _critic(run: Run) -> list[Table | None]:
    return critic_tables(run.rollouts.critic, "Programs of the second half of the iterations, not yet learned from.")


def _runs(rows: Sequence[Row]) -> Table | None:
    """Every run by itself, with the first measure that all have."""
    measure = next(iter(measures([Row(row.label, row.finished) for row in rows])), None)
    body = []
    for row in rows:
        for run in row.runs:
            known = measure is not None and run.finished
            shares = [percent(value(run, when, str(measure))) if known else "" for when in ("before", "after")]
            seconds = duration(sum(phase_seconds(run).values()))
            status = str(run.summary.get("status", "unknown"))
            body.append([run.folder.name, row.label, str(run.seed), status, *shares, seconds])
    head = [
        "folder",
        "row",
        "seed",
        "status",
        *(f"{measure or 'result'} {w} RL" for w in ("before", "after")),
        "wall time",
    ]
    return table(head, body)


def _missing(rows: Sequence[Row], alone: bool) -> list[str]:
    said = []
    for row in rows:
        for run in row.runs:
            if not run.finished and not alone:
                said.append(
                    f"{run.folder.name} has no results after RL: its curves are drawn, the tables leave it out."
                )
            elif run.finished and run.heldout is None and not any("evaluation.json" in n for n in run.notices):
                said.append(f"{run.folder.name} has no evaluation.json: no results by problem.")
    return said


def _title(rows: Sequence[Row]) -> str:
    runs = [run for row in rows for run in row.runs]
    kept = {k: {str(run.summary[k]) for run in runs if run.summary.get(k)} for k in ("model", "benchmark", "reward")}
    parts = [next(iter(values)) for values in kept.values() if len(values) == 1]
    if len(runs) == 1:
        return "RLTF run: " + (", ".join(parts) or runs[0].folder.name)
    return f"RLTF, {len(rows)} {'row' if len(rows) == 1 else 'rows'} of {len(runs)} runs: " + ", ".join(parts)


def _facts(rows: Sequence[Row], folder: Path) -> tuple[tuple[str, str], ...]:
    runs = [run for row in rows for run in row.runs]
    if len(runs) == 1:
        run = runs[0]
        facts = [(k, str(run.summary[k])) for k in ("status", "algorithm", "seed") if run.summary.get(k) is not None]
        return (*facts, ("folder", run.folder.resolve().name))
    problems = {run.summary.get("problems") for run in runs} - {None}
    facts = [("benchmark", str(next(filter(None, (run.benchmark for run in runs)), "unknown")))] + [
        ("held-out problems", f"{p}") for p in problems if len(problems) == 1
    ]
    return (*facts, ("folder", folder.resolve().name))


def _tiles(rows: Sequence[Row], results: Sequence[Result]) -> tuple[tuple[str, str], ...]:
    first = [r for r in results if r.measure == results[0].measure]
    runs = [run for row in rows for run in row.runs]
    tiles = [
        (f"held-out {r.measure}" + (f", {r.row}" if len(rows) > 1 else ""),
         f"{percent(r.before.value)} → {percent(r.after.value)}")
        for r in (first if len(first) <= MOST_TILES else [])
    ]  # fmt: skip
    if len(runs) == 1:
        for key in ("iterations", "optimizer_steps", "programs_judged"):
            if isinstance(runs[0].summary.get(key), int):
                name = {"optimizer_steps": "optimiser steps"}.get(key, key.replace("_", " "))
                tiles.append((name, f"{runs[0].summary[key]:,}"))
    seconds = sum(sum(phase_seconds(run).values()) for run in runs)
    return (
        (*tiles, ("wall time" if len(runs) == 1 else "wall time of all runs", duration(seconds)))
        if seconds
        else tuple(tiles)
    )


def _gallery(rows: Sequence[Row]) -> tuple[Example, ...]:
    """Those of the only run; of several, the last of each outcome, row by row."""
    if len(rows) == 1 and len(rows[0].runs) == 1:
        return rows[0].runs[0].rollouts.gallery
    order = [str(outcome) for outcome, _, _ in OUTCOMES]
    chosen = []
    for row in rows:
        last = {example.outcome: example for example in row.runs[0].rollouts.gallery}
        chosen.append(
            [example.in_row(row.label) for example in sorted(last.values(), key=lambda e: order.index(e.outcome))]
        )
    mixed = [example for some in zip_longest(*chosen) for example in some if example is not None]
    return tuple(mixed[:MOST_PROGRAMS])


def _versions(rows: Sequence[Row]) -> str:
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for run in row.runs:
            versions = run.summary.get("versions")
            for name, version in (versions if isinstance(versions, dict) else {}).items():
                found.setdefault(str(name), {})[str(version)] = None
    return ", ".join(f"{name} {' and '.join(versions)}" for name, versions in found.items())


def commands_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """What the user typed: one multirun where the runs are all combinations of some values, else a command a row."""
    typed = [tuple(override.partition("=")[::2] for override in run.overrides) for row in rows for run in row.runs]
    if not any(typed):
        return ()
    keys = [key for key, _ in typed[0]]
    values = [list(dict.fromkeys(run[i][1] for run in typed if i < len(run))) for i in range(len(keys))]
    grid = all([key for key, _ in run] == keys for run in typed) and prod(map(len, values)) == len(set(typed)) == len(
        typed
    )
    if grid and len(typed) > 1:
        return (_command(["-m", *(f"{key}={','.join(some)}" for key, some in zip(keys, values, strict=True))]),)
    return tuple(_command(row.runs[0].overrides) for row in rows)


def _command(arguments: Sequence[str]) -> str:
    return " ".join(("python train.py", *map(quote, arguments)))


def written(estimate: Estimate) -> str:
    """A share as per cent, its interval in brackets."""
    bounds = estimate.interval
    return percent(estimate.value) + (f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]" if bounds else "")


def shift(estimate: Estimate) -> str:
    """A difference of shares in points, its interval in brackets."""
    bounds = estimate.interval
    interval = f" [{100 * bounds[0]:+.1f}, {100 * bounds[1]:+.1f}]".replace("-", "−") if bounds else ""
    return points(estimate.value) + interval
