"""Held-out pass@k of each row before and after RL: the table and the chart at the top, and the runs one by one."""

from __future__ import annotations

from collections.abc import Sequence

from rltf.report.compare.results import Result, measure_value, shared_measures
from rltf.report.compare.settings import Row
from rltf.report.compare.statistics import Estimate
from rltf.report.document import Table, table
from rltf.report.draw.bars import BEFORE, Series, dot_chart
from rltf.report.draw.chart import Chart
from rltf.report.draw.numbers import duration, percent, points
from rltf.report.sections.metrics import phase_seconds


def results_table(results: Sequence[Result], single_run: bool) -> Table | None:
    """Estimates before RL, after RL and of the gain: one line per measure and row."""
    several_rows = len({r.row for r in results}) > 1
    head = ["row"] * several_rows + ["measure"] + ["seeds"] * (not single_run) + ["before RL", "after RL", "gain"]
    head += ["to the first row", "seeds better"] * several_rows
    body = []
    for r in results:
        cells = [r.row] * several_rows + [r.measure] + [str(len(r.seeds))] * (not single_run)
        cells += [share_text(r.before_rl), share_text(r.after_rl), difference_text(r.gain)]
        if several_rows:
            cells.append(difference_text(r.difference) if r.difference else "")
            cells.append(f"{r.better_seeds[0]} of {r.better_seeds[1]}" if r.better_seeds else "")
        body.append(cells)
    return table(head, body, _results_note(results, single_run, several_rows))


def _results_note(results: Sequence[Result], single_run: bool, several_rows: bool) -> str:
    if single_run:
        has_intervals = any(r.after_rl.interval for r in results)
        note = "In brackets the 95 % interval over problems (bootstrap). " if has_intervals else ""
        return note + "One seed: nothing here says how much another seed would differ."
    note = "In brackets the 95 % interval over seeds (Student's t)."
    single_seed_rows = [r.row for r in results if len(r.seeds) == 1]
    if single_seed_rows:
        note += f" One seed only, so no interval: {', '.join(dict.fromkeys(single_seed_rows))}."
    if several_rows:
        note += " Differences to the first row are paired by problem, and by seed where both rows have the same seeds; "
        note += "their intervals are a bootstrap over problems and seeds."
        if any(r.difference is not None and r.difference.interval is None for r in results):
            note += " They need two seeds a row and evaluation.json in each run."
    return note


def results_chart(results: Sequence[Result], rows: Sequence[Row]) -> Chart | None:
    """Before and after RL with intervals: measures of one row, or the first measure of several."""
    if len(rows) == 1:
        title, labelled = "Held-out pass@k", {r.measure: r for r in results}
    else:
        title = f"Held-out {results[0].measure}" if results else ""
        labelled = {r.row: r for r in results if r.measure == results[0].measure}
    series: Series = [
        (BEFORE, None, {label: r.before_rl for label, r in labelled.items()}),
        ("after RL", 0, {label: r.after_rl for label, r in labelled.items()}),
    ]
    return dot_chart("heldout", title, list(labelled), series, "share of problems")


def runs_table(rows: Sequence[Row]) -> Table | None:
    """One line per run, with the first measure that all finished runs have."""
    measure = next(iter(shared_measures([Row(row.label, row.finished) for row in rows])), None)
    body = []
    for row in rows:
        for run in row.runs:
            shares = ["", ""]
            if measure is not None and run.finished:
                shares = [percent(measure_value(run, when, measure)) for when in ("before", "after")]
            status, seconds = run.summary.get("status", "unknown"), sum(phase_seconds(run).values())
            body.append([run.folder.name, row.label, str(run.seed), str(status), *shares, duration(seconds)])
    result = measure or "result"
    return table(["folder", "row", "seed", "status", f"{result} before RL", f"{result} after RL", "wall time"], body)


def share_text(estimate: Estimate) -> str:
    """A share as per cent, its interval in brackets."""
    bounds = estimate.interval
    return percent(estimate.value) + (f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]" if bounds else "")


def difference_text(estimate: Estimate) -> str:
    """A difference of shares in points, its interval in brackets."""
    bounds = estimate.interval
    interval = f" [{100 * bounds[0]:+.1f}, {100 * bounds[1]:+.1f}]".replace("-", "−") if bounds else ""
    return points(estimate.value) + interval
