"""`rollouts.jsonl` in one pass and bounded memory: counts, and a few programs of each kind to look at."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rltf.report.read.critic import CriticStats
from rltf.report.read.examples import Example, example_of

FIRST, LAST = 2, 4
"""Programs of each outcome that the gallery shows from the start and from the end of a run."""


@dataclass(frozen=True)
class Line:
    """A record and where it stood."""

    number: int
    """1-based."""
    record: Mapping[str, Any]


@dataclass
class ExampleSampler:
    """The first and the last programs of one outcome, none twice."""

    first: list[Line] = field(default_factory=list)
    last: deque[Line] = field(default_factory=lambda: deque(maxlen=LAST))

    def add(self, line: Line) -> None:
        """Keeps the line if its program is new."""
        if any(line.record["program"] == kept.record["program"] for kept in (*self.first, *self.last)):
            return
        if len(self.first) < FIRST:
            self.first.append(line)
        else:
            self.last.append(line)


@dataclass(frozen=True)
class ErrorCount:
    """How often programs ended in one type of error."""

    type: str
    first_half: int
    """Programs of the first half of the iterations."""
    second_half: int


@dataclass(frozen=True)
class Rollouts:
    """What the report shows of the programs of a run."""

    programs: int = 0
    """Lines read."""
    halves: tuple[int, int] = (0, 0)
    """Programs of the first and second half of the iterations."""
    errors: tuple[ErrorCount, ...] = ()
    """The most frequent first."""
    gallery: tuple[Example, ...] = ()
    """Programs to show, in the order of the run."""
    critic: CriticStats = field(default_factory=CriticStats)
    """What a critic said of the programs of the second half of the iterations."""


def read_rollouts(path: Path) -> tuple[Rollouts, list[str]]:
    """Counts and examples of a `rollouts.jsonl`, and what a reader should know of the file."""
    shelves: dict[str, ExampleSampler] = {}
    by_iteration: Counter[int] = Counter()
    errors: Counter[tuple[str, int]] = Counter()
    critic: dict[int, CriticStats] = {}
    bad: list[int] = []
    for number, record in _records(path):
        if record is None:
            bad.append(number)
            continue
        by_iteration[record["iteration"]] += 1
        shelves.setdefault(record["outcome"], ExampleSampler()).add(Line(number, record))
        try:
            critic.setdefault(record["iteration"], CriticStats()).add(record)
        except (KeyError, TypeError, ValueError, AttributeError):
            bad.append(number)
        if record.get("error"):
            errors[str(record["error"].get("type")), record["iteration"]] += 1
    gallery = []
    for line in (line for shelf in shelves.values() for line in (*shelf.first, *shelf.last)):
        try:
            gallery.append(example_of(line.record))
        except (KeyError, TypeError, ValueError):
            bad.append(line.number)
    # the iterations that were judged, not their range: some of a resumed run may be missing
    iterations = sorted(by_iteration)
    early = set(iterations[: (len(iterations) + 1) // 2])
    late = CriticStats()
    for iteration in iterations:
        if iteration not in early or len(iterations) == 1:
            late.merge(critic[iteration])
    counts: dict[str, list[int]] = {}
    for (kind, iteration), count in errors.items():
        counts.setdefault(kind, [0, 0])[iteration not in early] += count
    rollouts = Rollouts(
        programs=by_iteration.total(),
        halves=(
            sum(n for i, n in by_iteration.items() if i in early),
            sum(n for i, n in by_iteration.items() if i not in early),
        ),
        errors=tuple(ErrorCount(kind, *halves) for kind, halves in sorted(counts.items(), key=lambda c: -sum(c[1]))),
        gallery=tuple(sorted(gallery, key=lambda example: example.iteration)),
        critic=late,
    )
    return rollouts, _notices(sorted(set(bad)))


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


def _notices(bad: list[int]) -> list[str]:
    if not bad:
        return []
    if len(bad) == 1:
        return [f"Line {bad[0]} of rollouts.jsonl is no complete record; it is left out."]
    return [f"{len(bad)} lines of rollouts.jsonl are no complete records (first: line {bad[0]}); they are left out."]
