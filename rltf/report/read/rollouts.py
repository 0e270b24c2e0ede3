"""`rollouts.jsonl` in one pass and bounded memory: how many programs, what a critic predicted, and examples."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rltf.report.read.critic import CriticStats
from rltf.report.read.examples import Example, example_from_record

FIRST, LAST = 2, 4
"""Programs of each outcome that the gallery shows from the start and from the end of a run."""


@dataclass(frozen=True)
class Line:
    """A record with its line number."""

    number: int
    """1-based."""
    record: Mapping[str, Any]


@dataclass
class ExampleSampler:
    """The first and the last programs of one outcome, none twice."""

    first: list[Line] = field(default_factory=list)
    last: deque[Line] = field(default_factory=lambda: deque(maxlen=LAST))

    def add(self, line: Line) -> None:
        """Samples a line whose program is not in the sample yet."""
        if any(line.record["program"] == sampled.record["program"] for sampled in (*self.first, *self.last)):
            return
        if len(self.first) < FIRST:
            self.first.append(line)
        else:
            self.last.append(line)


@dataclass(frozen=True)
class Rollouts:
    """What the report shows of the programs of a run."""

    programs: int = 0
    """Number of complete records."""
    gallery: tuple[Example, ...] = ()
    """Programs to show, in the order of the run."""
    critic: CriticStats = field(default_factory=CriticStats)
    """Predictions of a critic for the programs of the second half of the iterations."""


def read_rollouts(path: Path) -> tuple[Rollouts, list[str]]:
    """Counts and examples of a `rollouts.jsonl`, and what a reader should know of the file."""
    samplers: dict[str, ExampleSampler] = {}
    by_iteration: Counter[int] = Counter()
    critic: dict[int, CriticStats] = {}
    damaged: set[int] = set()
    for number, record in _records(path):
        if record is None:
            damaged.add(number)
            continue
        by_iteration[record["iteration"]] += 1
        samplers.setdefault(record["outcome"], ExampleSampler()).add(Line(number, record))
        try:
            critic.setdefault(record["iteration"], CriticStats()).add(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            damaged.add(number)
    gallery = []
    for line in (line for sampler in samplers.values() for line in (*sampler.first, *sampler.last)):
        try:
            gallery.append(example_from_record(line.record))
        except (KeyError, TypeError, ValueError):
            damaged.add(line.number)
    rollouts = Rollouts(
        programs=by_iteration.total(),
        gallery=tuple(sorted(gallery, key=lambda example: example.iteration or 0)),
        critic=_second_half(critic),
    )
    return rollouts, _notices(sorted(damaged))


def _second_half(critic: Mapping[int, CriticStats]) -> CriticStats:
    """Counts over the second half of the iterations that were judged: some of a resumed run may be missing."""
    iterations = sorted(critic)
    stats = CriticStats()
    for iteration in iterations[(len(iterations) + 1) // 2 :] or iterations:
        stats.merge(critic[iteration])
    return stats


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(line number, record); None for a line that is no complete record."""
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            complete = (
                isinstance(record, dict)
                and isinstance(record.get("iteration"), int)
                and isinstance(record.get("outcome"), str)
                and isinstance(record.get("program"), str)
                and isinstance(record.get("error"), dict | None)
            )
            yield number, record if complete else None


def _notices(damaged: list[int]) -> list[str]:
    if not damaged:
        return []
    if len(damaged) == 1:
        return [f"Line {damaged[0]} of rollouts.jsonl is no complete record; it is left out."]
    return [
        f"{len(damaged)} lines of rollouts.jsonl are no complete records (first: line {damaged[0]}); they are left out."
    ]
