"""The table: what each row reached, with intervals, and how far it is from the first row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from rltf.report.compare.settings import Row
from rltf.report.compare.statistics import Estimate, Values, over_problems, over_seeds, paired_difference
from rltf.report.read.run import Run, object_of


@dataclass(frozen=True)
class Result:
    """One measure of one row."""

    measure: str
    """`pass@k`, or `greedy`: pass@1 of the greedy program."""
    row: str
    seeds: tuple[Any, ...]
    before: Estimate
    after: Estimate
    gain: Estimate
    """After less before."""
    difference: Estimate | None = None
    """To the first row, after RL; None for that row itself, and without `evaluation.json`."""
    better: tuple[int, int] | None = None
    """(seeds that are better than the first row's run of the same seed, seeds that both have)."""


def results_of(rows: Sequence[Row]) -> list[Result]:
    """Measure by measure, row by row; rows without a finished run are left out.

    Intervals are Student's over seeds. A report of one run has them over problems instead.
    """
    rows = [Row(row.label, row.finished) for row in rows if row.finished]
    alone = len(rows) == 1 and len(rows[0].runs) == 1
    return [_result(measure, row, rows[0], alone) for measure in measures(rows) for row in rows]


def measures(rows: Sequence[Row]) -> list[str]:
    """What every run has: pass@k by rising k, then `greedy`."""
    runs = [run for row in rows for run in row.runs]
    if not runs:
        return []
    ks = set.intersection(*({k for k in _pass_at_k(run, "before") if k in _pass_at_k(run, "after")} for run in runs))
    draws = min((run.heldout.draws for run in runs if run.heldout is not None), default=None)
    found = [f"pass@{k}" for k in sorted(map(int, filter(str.isdigit, ks))) if draws is None or k <= draws]
    greedy = all(isinstance(_greedy(run, when), int | float) for run in runs for when in ("before", "after"))
    return found + (["greedy"] if found and greedy else [])


def value(run: Run, when: str, measure: str) -> float:
    """One number of one finished run."""
    if run.heldout is not None and run.heldout.of(when):
        return float(run.heldout.values(when, measure).mean())
    return float(_greedy(run, when) if measure == "greedy" else _pass_at_k(run, when)[measure.removeprefix("pass@")])


def _result(measure: str, row: Row, first: Row, alone: bool) -> Result:
    before, after = ([value(run, when, measure) for run in row.runs] for when in ("before", "after"))
    gains = [b - a for a, b in zip(before, after, strict=True)]
    estimates = (over_seeds(before), over_seeds(after), over_seeds(gains, bounded=False))
    if alone:
        estimates = _of_problems(measure, row.runs[0], estimates[2])
    difference = None if row is first else _difference(measure, first, row)
    return Result(measure, row.label, row.seeds, *estimates, difference, _better(measure, first, row))


def _of_problems(measure: str, run: Run, gain: Estimate) -> tuple[Estimate, Estimate, Estimate]:
    """Before, after and gain of one run with intervals over problems: its own, else those that the summary knows."""
    if run.heldout is not None:
        start, end = run.heldout.values("before", measure), run.heldout.values("after", measure)
        return over_problems(start), over_problems(end), over_problems(end - start)
    known = object_of(run.summary.get("pass_at_k_interval"))
    k = measure.removeprefix("pass@")
    bounds = {when: object_of(object_of(known.get(when)).get(k)) for when in ("before", "after")}
    before, after = (
        Estimate(value(run, when, measure), bounds[when].get("low"), bounds[when].get("high")) for when in bounds
    )
    return before, after, gain


def _difference(measure: str, first: Row, row: Row) -> Estimate | None:
    paired = _by_seed(first).keys() == _by_seed(row).keys() and len(_by_seed(row)) == len(row.runs) == len(first.runs)
    tables = [_table(measure, r, paired) for r in (first, row)]
    if tables[0] is None or tables[1] is None:
        mean = fmean(value(run, "after", measure) for run in row.runs)
        return Estimate(mean - fmean(value(run, "after", measure) for run in first.runs))
    return paired_difference(tables[0], tables[1], paired)


def _table(measure: str, row: Row, paired: bool) -> Values | None:
    """Seeds by problems; seeds in rising order where they are paired."""
    runs = list(_by_seed(row).values()) if paired else row.runs
    values = [run.heldout.values("after", measure) for run in runs if run.heldout is not None]
    return np.stack(values) if len(values) == len(runs) else None


def _by_seed(row: Row) -> dict[str, Run]:
    return {str(run.seed): run for run in sorted(row.runs, key=lambda run: str(run.seed)) if run.seed is not None}


def _better(measure: str, first: Row, row: Row) -> tuple[int, int] | None:
    if row is first:
        return None
    theirs, ours = _by_seed(first), _by_seed(row)
    both = theirs.keys() & ours.keys()
    won = sum(value(ours[seed], "after", measure) > value(theirs[seed], "after", measure) for seed in both)
    return (won, len(both)) if both else None


def _pass_at_k(run: Run, when: str) -> Any:
    return object_of(object_of(run.summary.get("pass_at_k")).get(when))


def _greedy(run: Run, when: str) -> Any:
    return object_of(object_of(run.summary.get("evaluation")).get(when)).get("greedy_pass_at_1")
