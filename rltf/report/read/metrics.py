"""`metrics.csv` as curves: of RL over its iterations, of the warm-up over optimiser steps."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

_FORMER_NAMES = {
    "rollout/groups_all_failed": "rollout/groups/none_pass",
    "rollout/groups_mixed": "rollout/groups/some_pass",
    "rollout/groups_all_passed": "rollout/groups/all_pass",
}
"""Names in files of 0.1 -> names of today."""

Point = tuple[float, float]
"""(iteration of RL or optimiser step, value)."""


@dataclass(frozen=True)
class Scale:
    """Where RL's iterations lie among the optimiser steps."""

    start: float = 0.0
    """Optimiser steps before the first iteration."""
    updates: float = 1.0
    """Optimiser steps of an iteration."""

    def iteration(self, step: float) -> float:
        """Iterations that are done after so many optimiser steps."""
        return (step - self.start) / self.updates


@dataclass(frozen=True)
class Metrics:
    """Curves by metric name.

    Example:
        >>> metrics = Metrics({"val/pass@1": ((100, 0.2), (200, 0.4))}, rl_start=100)
        >>> metrics.names("val/")
        ['val/pass@1']
    """

    curves: Mapping[str, tuple[Point, ...]]
    """Points by name, in the order of optimiser steps."""
    rl_start: float | None = None
    """Last optimiser step of the warm-up; None for a run without warm-up."""
    scale: Scale = Scale()
    """Of the iterations of RL."""

    def curve(self, name: str) -> tuple[Point, ...]:
        """Points of one metric; empty when it was not logged."""
        return self.curves.get(name, ())

    def after_warmup(self, name: str) -> tuple[Point, ...]:
        """The part of a curve that RL logged, over iterations done. Metrics of programs have a point at the warm-up's
        last step, too: the first programs of RL are drawn there."""
        start, of_programs = self.rl_start, name.startswith(("rollout/", "completion/", "reward/", "val/"))
        points = (p for p in self.curve(name) if start is None or p[0] > start or (of_programs and p[0] == start))
        return tuple((self.scale.iteration(x), y) for x, y in points)

    def in_warmup(self, name: str) -> tuple[Point, ...]:
        """The part of a curve that the warm-up logged."""
        return tuple(p for p in self.curve(name) if self.rl_start is not None and p[0] <= self.rl_start)

    def names(self, prefix: str) -> list[str]:
        """Names of the metrics that begin with `prefix`."""
        return [name for name in self.curves if name.startswith(prefix)]

    def total(self, name: str) -> float:
        """Sum of a metric over all its points."""
        return math.fsum(y for _, y in self.curve(name))


def read_metrics(path: Path) -> tuple[Metrics, list[str]]:
    """The curves of a `metrics.csv`, and what a reader should know of the file.

    A run that is still writing may leave half a row at the end: it is left out. A resumed run logs the steps after its
    checkpoint again: the later row counts, except for seconds, which were spent twice and are summed.
    """
    text = path.read_text(encoding="utf-8", errors="replace")
    notices = []
    if text and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
        notices.append("The last row of metrics.csv is cut; it is left out.")
    rows = list(csv.DictReader(text.splitlines()))
    curves: dict[str, dict[float, float]] = {}
    warmup_steps = [x for row, x in zip(rows, _positions(rows), strict=True) if row.get("phase") == "warmup"]
    for row, x in zip(rows, _positions(rows), strict=True):
        for name, cell in row.items():
            value = _number(cell)
            if name in ("step", "iteration", "phase", "epoch") or value is None:
                continue
            points = curves.setdefault(_FORMER_NAMES.get(name, name), {})
            points[x] = value + (points.get(x, 0.0) if name.startswith("perf/seconds/") else 0.0)
    if not curves:
        notices.append("metrics.csv holds no numbers: the run had logged nothing yet.")
    sorted_curves = {name: tuple(sorted(points.items())) for name, points in curves.items()}
    return Metrics(sorted_curves, max(warmup_steps, default=None), _scale(rows, max(warmup_steps, default=0))), notices


def _scale(rows: Sequence[Mapping[str, str]], warmup: float) -> Scale:
    """The scale on which every iteration ends at its last step; the median over iterations, since the last one of a
    run that was stopped is short."""
    ends: dict[float, float] = {}
    for row in rows:
        step, iteration = _number(row.get("step")), _number(row.get("iteration"))
        if row.get("phase") == "rl" and step is not None and iteration is not None:
            ends[iteration] = max(step, ends.get(iteration, step))
    if not ends:
        return Scale()
    iterations = sorted(ends)
    steps = [(ends[b] - ends[a]) / (b - a) for a, b in pairwise(iterations)]
    updates = median(steps) if steps else ends[iterations[0]] - warmup
    return Scale(ends[iterations[0]] - updates * (iterations[0] + 1), updates) if updates > 0 else Scale(warmup)


def _positions(rows: Sequence[Mapping[str, str]]) -> list[float]:
    """Optimiser step of each row; where it is not logged the iteration, then the position of the previous row."""
    positions: list[float] = []
    for row in rows:
        step, iteration = _number(row.get("step")), _number(row.get("iteration"))
        previous = positions[-1] if positions else 0.0
        positions.append(next(x for x in (step, iteration, previous) if x is not None))
    return positions


def _number(cell: object) -> float | None:
    """The number in a cell; None for text, infinity and NaN."""
    if not isinstance(cell, str):
        return None
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
