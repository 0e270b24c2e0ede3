"""Held-out programs before RL and after it: pass@k by k, flow of outcomes, errors, results by kind of problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import fmean

import numpy as np

from rltf.report.compare.settings import Row
from rltf.report.compare.statistics import Estimate
from rltf.report.document import Table, table
from rltf.report.draw.bars import BEFORE, Series, bar_chart, dot_chart, flow_chart
from rltf.report.draw.chart import Chart
from rltf.report.draw.curves import AxisStyle, Line, line_chart
from rltf.report.draw.numbers import percent
from rltf.report.read.evaluation import STAGES, HeldOut, ProblemOutcome

MOST_ERRORS = 12
"""Error types in the table."""
RARE = 0.005
"""Error types below this share of programs, before and after, are left out of the chart."""

HeldOutByRow = Mapping[str, Sequence[HeldOut]]
"""Row -> results of its finished runs."""


def heldout_by_row(rows: Sequence[Row]) -> dict[str, list[HeldOut]]:
    """Row -> results of its finished runs, without rows that have none."""
    by_row = {
        row.label: [run.heldout for run in row.finished if run.heldout is not None and run.heldout.after_rl]
        for row in rows
    }
    return {label: heldouts for label, heldouts in by_row.items() if heldouts}


def pass_at_k_chart(by_row: HeldOutByRow, rows: Sequence[Row]) -> Chart | None:
    """pass@k at every k up to the number of programs drawn; None where only one was drawn."""
    groups = _groups(by_row, rows)
    draws = min((heldout.draws for _, _, _, heldouts in groups for heldout in heldouts), default=0)
    if draws < 2:
        return None
    lines = [_pass_at_k_line(label, heldouts, when, draws, style) for label, style, when, heldouts in groups]
    has_bands = any(len(heldouts) > 1 for heldouts in by_row.values())
    note = "Bands reach from the lowest to the highest seed." if has_bands else ""
    axis = AxisStyle(share=True, zero=True, x="k, programs one may submit", y="pass@k")
    return line_chart("pass_at_k", "pass@k by k", lines, axis, note)


def _pass_at_k_line(label: str, heldouts: Sequence[HeldOut], when: str, draws: int, style: int | None) -> Line:
    values = {k: [float(h.values(when, f"pass@{k}").mean()) for h in heldouts] for k in range(1, draws + 1)}
    mean, low, high = ([(float(k), of_seeds(v)) for k, v in values.items()] for of_seeds in (fmean, min, max))
    has_band = len(heldouts) > 1
    return Line(label, mean, low if has_band else (), high if has_band else (), style)


def flow_parts(by_row: HeldOutByRow) -> list[Table | Chart | None]:
    """Share of programs that moved from each stage to each stage, in the mean over seeds."""
    flows = [(label, np.mean([h.flow() for h in heldouts], axis=0)) for label, heldouts in by_row.items()]
    body = []
    for label, flow in flows:
        for when, shares in ((BEFORE, flow.sum(axis=1)), ("after RL", flow.sum(axis=0))):
            body.append([f"{label}, {when}" if len(flows) > 1 else when, *(percent(float(s)) for s in shares)])
    note = "Each held-out program before RL beside the one drawn after it with the same random stream."
    return [
        flow_chart("flow", "From what programs did before RL to what they do after it", flows, note),
        table(["held-out programs", *STAGES], body, "Timeouts and limits count as runtime errors.", folded=True),
    ]


def error_parts(by_row: HeldOutByRow, rows: Sequence[Row]) -> list[Table | Chart | None]:
    """Share of programs by the type of error that stopped them, before and after RL."""
    series = _before_and_after(by_row, rows, lambda heldout, when: heldout.errors(when))
    highest_share: dict[str, float] = {}
    for _, _, shares in series:
        for kind, estimate in shares.items():
            highest_share[kind] = max(highest_share.get(kind, 0.0), estimate.value)
    kinds = sorted(highest_share, key=lambda kind: -highest_share[kind])[:MOST_ERRORS]
    frequent = [kind for kind in kinds if highest_share[kind] >= RARE] or kinds
    omitted = len(highest_share) - len(kinds)
    note = f"{omitted} rarer types are left out." if omitted else ""
    rare_note = ""
    if len(highest_share) > len(frequent):
        rare_note = f"Types below {percent(RARE)} of the programs are in the table only."
    chart = bar_chart("errors", "Errors of held-out programs", frequent, series, "share of programs", rare_note)
    body = [[kind, *(percent(v[kind].value if kind in v else 0.0) for _, _, v in series)] for kind in kinds]
    return [chart, table(["error", *(label for label, _, _ in series)], body, note, folded=True)]


def kind_parts(by_row: HeldOutByRow, rows: Sequence[Row]) -> list[Table | Chart | None]:
    """pass@1 by difficulty and by construct."""
    charts: list[Table | Chart | None] = []
    tables: list[Table | Chart | None] = []
    groupings: list[tuple[str, Callable[[ProblemOutcome], Iterable[str]]]] = [
        ("difficulty", lambda problem: [problem.difficulty] if problem.difficulty else []),
        ("construct", lambda problem: problem.tags),
    ]
    for name, labels_of in groupings:
        counts = {
            label: problems
            for heldouts in by_row.values()
            for label, (_, problems) in heldouts[0].shares("before", labels_of).items()
        }
        series = _before_and_after(by_row, rows, partial(_pass_shares, labels_of=labels_of))
        labels = list(counts) if name == "difficulty" else sorted(counts)
        body = [[f"{n} ({counts[n]})", *(percent(v[n].value) for _, _, v in series)] for n in labels]
        charts.append(dot_chart(name, f"pass@1 by {name}", labels, series, "pass@1"))
        tables.append(table([f"{name} (problems)", *(label for label, _, _ in series)], body, folded=True))
    return charts + tables


def _pass_shares(heldout: HeldOut, when: str, labels_of: Callable[[ProblemOutcome], Iterable[str]]) -> dict[str, float]:
    return {label: share for label, (share, _) in heldout.shares(when, labels_of).items()}


def _before_and_after(
    by_row: HeldOutByRow, rows: Sequence[Row], shares: Callable[[HeldOut, str], Mapping[str, float]]
) -> Series:
    """Shares before RL in the mean over all runs, and after RL in the mean over the runs of each row."""
    return [
        (label, style, _means([shares(heldout, when) for heldout in heldouts]))
        for label, style, when, heldouts in _groups(by_row, rows)
    ]


def _groups(by_row: HeldOutByRow, rows: Sequence[Row]) -> list[tuple[str, int | None, str, Sequence[HeldOut]]]:
    """(label, style, `before` or `after`, runs): all runs before RL, then those of each row after it."""
    if not by_row:
        return []
    styles = {row.label: style for style, row in enumerate(rows)}
    before_rl = (BEFORE, None, "before", [heldout for heldouts in by_row.values() for heldout in heldouts])
    after_rl = ((label if len(rows) > 1 else "after RL", styles[label], "after", by_row[label]) for label in by_row)
    return [before_rl, *after_rl]


def _means(tables: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    names = dict.fromkeys(name for shares in tables for name in shares)
    return {name: Estimate(fmean(shares.get(name, 0.0) for shares in tables)) for name in names}
