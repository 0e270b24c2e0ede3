"""What the held-out programs did, before RL and after it: pass@k by k, flow of outcomes, errors, results by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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

HeldOuts = Mapping[str, Sequence[HeldOut]]
"""Row -> results of its finished runs."""


def curve_chart(heldout: HeldOuts, rows: Sequence[Row]) -> Chart | None:
    """pass@k at every k up to the number of programs drawn."""
    draws = min((h.draws for some in heldout.values() for h in some), default=0)
    if draws < 2:
        return None
    lines = []
    everything = [h for some in heldout.values() for h in some]
    for label, some, when in [(BEFORE, everything, "before"), *((n, s, "after") for n, s in heldout.items())]:
        values = [[float(h.values(when, f"pass@{k}").mean()) for h in some] for k in range(1, draws + 1)]
        mean, low, high = ([(float(k), of(v)) for k, v in enumerate(values, 1)] for of in (fmean, min, max))
        label = "after RL" if when == "after" and len(rows) == 1 else label
        style = None if when == "before" else [row.label for row in rows].index(label) if len(rows) > 1 else 0
        several = len(some) > 1
        lines.append(Line(label, mean, low if several else (), high if several else (), style))
    note = "Bands reach from the lowest to the highest seed." if len(everything) > len(heldout) else ""
    return line_chart(
        "pass_at_k", "pass@k by k", lines, AxisStyle(share=True, zero=True, x="k, programs one may submit"), note
    )


def flow_parts(heldout: HeldOuts) -> list[Table | Chart | None]:
    """What share of programs moved from each stage to each stage, in the mean over seeds."""
    flows = [(label, np.mean([h.flow() for h in some], axis=0)) for label, some in heldout.items()]
    body = []
    for label, flow in flows:
        for when, shares in ((BEFORE, flow.sum(axis=1)), ("after RL", flow.sum(axis=0))):
            body.append([f"{label}, {when}" if len(flows) > 1 else when, *(percent(float(s)) for s in shares)])
    note = "Each held-out program before RL beside the one drawn after it with the same random stream."
    return [
        flow_chart("flow", "From what programs did before RL to what they do after it", flows, note),
        table(["held-out programs", *STAGES], body, "Timeouts and limits count as runtime errors.", folded=True),
    ]


def errors_parts(heldout: HeldOuts, rows: Sequence[Row]) -> list[Table | Chart | None]:
    """Which errors stopped programs before and after."""
    shown = _before_after(heldout, rows, lambda h, when: h.errors(when))
    most = {
        kind: max(values[kind].value for _, _, values in shown if kind in values) for _, _, v in shown for kind in v
    }
    kinds = sorted(most, key=lambda kind: -most[kind])[:MOST_ERRORS]
    frequent = [kind for kind in kinds if most[kind] >= RARE] or kinds
    note = f"{len(most) - len(kinds)} rarer types are left out." if len(most) > len(kinds) else ""
    rare = f"Types below {percent(RARE)} of the programs are in the table only." if len(most) > len(frequent) else ""
    chart = bar_chart("errors", "Errors of held-out programs, share of programs", frequent, shown, rare)
    body = [[kind, *(percent(v[kind].value if kind in v else 0.0) for _, _, v in shown)] for kind in kinds]
    return [chart, table(["error", *(label for label, _, _ in shown)], body, note, folded=True)]


def kinds_parts(heldout: HeldOuts, rows: Sequence[Row]) -> list[Table | Chart | None]:
    """pass@1 by difficulty and by construct."""
    parts: list[Table | Chart | None] = []
    keys: list[tuple[str, Callable[[ProblemOutcome], Iterable[str]]]] = [
        ("difficulty", lambda solved: [solved.difficulty] if solved.difficulty else []),
        ("construct", lambda solved: solved.tags),
    ]
    for name, key in keys:
        counts = {
            label: count for some in heldout.values() for label, (_, count) in some[0].shares("before", key).items()
        }
        shown = _before_after(
            heldout, rows, lambda h, when, key=key: {n: v for n, (v, _) in h.shares(when, key).items()}
        )
        labels = list(counts) if name == "difficulty" else sorted(counts)
        body = [[f"{n} ({counts[n]})", *(percent(v[n].value) for _, _, v in shown)] for n in labels]
        head = [f"{name} (problems)", *(label for label, _, _ in shown)]
        parts += [dot_chart(name, f"pass@1 by {name}", labels, shown), table(head, body, folded=True)]
    charts = [part for part in parts if isinstance(part, Chart)]
    return [*charts, *(part for part in parts if isinstance(part, Table))]


def _before_after(heldout: HeldOuts, rows: Sequence[Row], of: Callable[..., Mapping[str, float]]) -> Series:
    """What held before RL in the mean of all runs, and after it row by row."""
    everything = [h for some in heldout.values() for h in some]
    if not everything:
        return []
    style = {row.label: i for i, row in enumerate(rows)}
    after = [
        (n if len(rows) > 1 else "after RL", style[n], _means([of(h, "after") for h in s])) for n, s in heldout.items()
    ]
    return [(BEFORE, None, _means([of(h, "before") for h in everything])), *after]


def _means(tables: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    names = dict.fromkeys(name for one in tables for name in one)
    return {name: Estimate(fmean(one.get(name, 0.0) for one in tables)) for name in names}


def heldouts(rows: Sequence[Row]) -> dict[str, list[HeldOut]]:
    """Those of the rows that have any."""
    found = {
        row.label: [run.heldout for run in row.finished if run.heldout is not None and run.heldout.after]
        for row in rows
    }
    return {label: some for label, some in found.items() if some}
