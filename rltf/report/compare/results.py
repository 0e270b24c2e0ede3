"""Held-out results of each row with intervals, and their differences to the first row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from rltf.report.compare.settings import Row, all_runs
from rltf.report.compare.statistics import (
    Estimate,
    Values,
    estimate_over_problems,
    estimate_over_seeds,
    paired_difference,
)
from rltf.report.read.run import Run, as_object


@dataclass(frozen=True)
class Result:
    """One measure of one row, before and after RL."""

    measure: str
    """`pass@k`, or `greedy`: pass@1 of the greedy program."""
    row: str
    seeds: tuple[Any, ...]
    """Seed of each run."""
    before_rl: Estimate
    after_rl: Estimate
    gain: Estimate
    """After RL minus before RL."""
    difference: Estimate | None = None
    """After RL, this row minus the first; None for the first row itself."""
    better_seeds: tuple[int, int] | None = None
    """(seeds that are better than the first row's run of the same seed, seeds that both have)."""


def row_results(rows: Sequence[Row]) -> list[Result]:
    """One result per measure and row, measure by measure; rows without a finished run are left out.

    Intervals are Student's over seeds. A report of one run has them over problems instead.
    """
    rows = [Row(row.label, row.finished) for row in rows if row.finished]
    alone = len(rows) == 1 and len(rows[0].runs) == 1
    return [_result(measure, row, rows[0], alone) for measure in shared_measures(rows) for row in rows]


def shared_measures(rows: Sequence[Row]) -> list[str]:
    """The measures that every run has: pass@k by rising k, then `greedy`, then `tests`: the share of tests passed."""
    runs = all_runs(rows)
    if not runs:
        return []
    ks = set.intersection(*({k for k in _pass_at_k(run, "before") if k in _pass_at_k(run, "after")} for run in runs))
    draws = min((run.heldout.draws for run in runs if run.heldout is not None), default=None)
    names = [f"pass@{k}" for k in sorted(map(int, filter(str.isdigit, ks))) if draws is None or k <= draws]
    greedy = all(isinstance(_greedy(run, when), int | float) for run in runs for when in ("before", "after"))
    tests = all(run.heldout is not None and run.heldout.has_tests_passed for run in runs)
    return names + (["greedy"] if names and greedy else []) + (["tests"] if names and tests else [])


def measure_value(run: Run, when: str, measure: str) -> float:
    """Value of a measure, `before` or `after` RL, of one finished run."""
    if run.heldout is not None and run.heldout.problems(when):
        return float(run.heldout.values(when, measure).mean())
    return float(_greedy(run, when) if measure == "greedy" else _pass_at_k(run, when)[measure.removeprefix("pass@")])


def _result(measure: str, row: Row, first: Row, alone: bool) -> Result:
    starts, ends = ([measure_value(run, when, measure) for run in row.runs] for when in ("before", "after"))
    gains = [end - start for start, end in zip(starts, ends, strict=True)]
    estimates = (estimate_over_seeds(starts), estimate_over_seeds(ends), estimate_over_seeds(gains, bounded=False))
    if alone:
        estimates = _single_run_estimates(measure, row.runs[0], estimates[2])
    difference = None if row is first else _difference(measure, first, row)
    return Result(measure, row.label, row.seeds, *estimates, difference, _better_seeds(measure, first, row))


def _single_run_estimates(measure: str, run: Run, gain: Estimate) -> tuple[Estimate, Estimate, Estimate]:
    """Before RL, after RL and gain of one run with intervals over problems: from `evaluation.json`, else from the
    summary, which has no interval of the gain."""
    if run.heldout is not None:
        start, end = run.heldout.values("before", measure), run.heldout.values("after", measure)
        return estimate_over_problems(start), estimate_over_problems(end), estimate_over_problems(end - start)
    intervals, k = as_object(run.summary.get("pass_at_k_interval")), measure.removeprefix("pass@")
    bounds = {when: as_object(as_object(intervals.get(when)).get(k)) for when in ("before", "after")}
    before_rl, after_rl = (
        Estimate(measure_value(run, when, measure), b.get("low"), b.get("high")) for when, b in bounds.items()
    )
    return before_rl, after_rl, gain


def _difference(measure: str, first: Row, row: Row) -> Estimate | None:
    paired = _by_seed(first).keys() == _by_seed(row).keys() and len(_by_seed(row)) == len(row.runs) == len(first.runs)
    tables = [_seeds_by_problems(measure, r, paired) for r in (first, row)]
    if tables[0] is None or tables[1] is None:
        mean, first_mean = (fmean(measure_value(run, "after", measure) for run in r.runs) for r in (row, first))
        return Estimate(mean - first_mean)
    return paired_difference(tables[0], tables[1], paired)


def _seeds_by_problems(measure: str, row: Row, paired: bool) -> Values | None:
    """Values after RL, with seeds in rising order where they are paired; None where a run has no `evaluation.json`."""
    runs = list(_by_seed(row).values()) if paired else row.runs
    values = [run.heldout.values("after", measure) for run in runs if run.heldout is not None]
    return np.stack(values) if len(values) == len(runs) else None


def _by_seed(row: Row) -> dict[str, Run]:
    return {str(run.seed): run for run in sorted(row.runs, key=lambda run: str(run.seed)) if run.seed is not None}


def _better_seeds(measure: str, first: Row, row: Row) -> tuple[int, int] | None:
    if row is first:
        return None
    first_runs, runs = _by_seed(first), _by_seed(row)
    shared_seeds = first_runs.keys() & runs.keys()
    pairs = ((first_runs[seed], runs[seed]) for seed in shared_seeds)
    better = sum(
        measure_value(run, "after", measure) > measure_value(first_run, "after", measure) for first_run, run in pairs
    )
    return (better, len(shared_seeds)) if shared_seeds else None


def _pass_at_k(run: Run, when: str) -> Any:
    return as_object(as_object(run.summary.get("pass_at_k")).get(when))


def _greedy(run: Run, when: str) -> Any:
    return as_object(as_object(run.summary.get("evaluation")).get(when)).get("greedy_pass_at_1")
