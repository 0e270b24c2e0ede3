"""How far a critic could be trusted: what it said of programs before it learned from them, and what became of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rltf.report.document import Table, table
from rltf.report.draw.numbers import percent
from rltf.report.read.evaluation import STAGES, stage

TENTHS, WIDTH = 10, 0.25
"""Parts of the scale of probabilities, and the width of a part of the scale of values."""


@dataclass
class CriticStats:
    """Counts of some programs."""

    confusion: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(stage the program came to, stage that was most probable) -> programs."""
    passing: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    """Tenth of the probability of passing -> programs, sum of the probability, programs that passed."""
    values: dict[int, tuple[int, float, float]] = field(default_factory=dict)
    """Part of the scale of values -> programs, sum of values, sum of returns (means over a program's tokens)."""

    def add(self, record: Mapping[str, Any]) -> None:
        """A line of `rollouts.jsonl`; greedy programs do not count, as they are not learned from.

        Raises:
            KeyError, TypeError, ValueError: it is damaged.
        """
        said = record.get("critic")
        if said is None or record.get("greedy"):
            return
        if classes := said.get("classes"):
            true, passed = stage(record["outcome"]), float(classes[-1])
            self.confusion[true, classes.index(max(classes))] += 1
            _count(self.passing, min(int(passed * TENTHS), TENTHS - 1), passed, float(true == len(STAGES) - 1))
        elif returns := said.get("returns"):
            value = math.fsum(said["tokens"]) / len(said["tokens"])
            _count(self.values, math.floor(value / WIDTH), value, math.fsum(returns) / len(returns))

    def merge(self, other: CriticStats) -> None:
        """Counts of other programs are added."""
        self.confusion += other.confusion
        for mine, theirs in ((self.passing, other.passing), (self.values, other.values)):
            for part, (count, said, found) in theirs.items():
                before = mine.get(part, (0, 0.0, 0.0))
                mine[part] = (before[0] + count, before[1] + said, before[2] + found)


def critic_tables(said: CriticStats, note: str) -> list[Table | None]:
    """Confusion matrix and calibration; nothing where no critic spoke."""
    return [_confusion(said, note), _passing(said), _values(said)]


def _confusion(said: CriticStats, note: str) -> Table | None:
    body = []
    for true, name in enumerate(STAGES):
        row = [said.confusion[true, k] for k in range(len(STAGES))]
        if sum(row):
            body.append([name, f"{sum(row):,}", *(percent(n / sum(row)) for n in row)])
    head = ["program", "programs", *(f"said: {name}" for name in STAGES)]
    return table(head, body, f"What the critic held most probable. {note}".strip())


def _passing(said: CriticStats) -> Table | None:
    body = [
        [f"{percent(part / TENTHS)} to {percent((part + 1) / TENTHS)}", f"{n:,}", percent(p / n), percent(passed / n)]
        for part, (n, p, passed) in sorted(said.passing.items())
    ]
    note = "A calibrated critic is right as often as it says."
    return table(["probability of passing", "programs", "mean said", "passed"], body, note)


def _values(said: CriticStats) -> Table | None:
    body = [
        [f"{part * WIDTH:+.2f} to {(part + 1) * WIDTH:+.2f}", f"{n:,}", f"{v / n:+.3f}", f"{r / n:+.3f}"]
        for part, (n, v, r) in sorted(said.values.items())
    ]
    note = "Means over the tokens of a program; a calibrated critic says what comes."
    return table(["value", "programs", "mean said", "mean return"], body, note)


def _count(bins: dict[int, tuple[int, float, float]], part: int, said: float, found: float) -> None:
    before: Sequence[float] = bins.get(part, (0, 0.0, 0.0))
    bins[part] = (int(before[0]) + 1, before[1] + said, before[2] + found)
