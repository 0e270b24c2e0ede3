"""Which runs belong together: a row is one setting, its runs differ in the seed only."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rltf.report.read.run import Run

NOT_COMPARED = ("seed", "name", "group", "resume", "trusted", "paths", "callbacks", "logger", "hydra")
"""Config keys, with all below them, that say nothing of what is trained."""


@dataclass(frozen=True)
class Row:
    """Runs of one setting."""

    label: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[Any, ...]:
        """One a run."""
        return tuple(run.seed for run in self.runs)

    @property
    def finished(self) -> tuple[Run, ...]:
        """Those that have results after RL."""
        return tuple(run for run in self.runs if run.finished)


def rows_of(runs: Sequence[Run], by: Sequence[str] = ()) -> tuple[list[Row], list[str]]:
    """Rows in the order of their first runs, and what a reader should know of the grouping.

    Args:
        runs: of one benchmark.
        by: config groups or keys whose values make a row; empty: everything but the seed does.

    Raises:
        ValueError: `by` names what no run has recorded.
    """
    for key in by:
        if all(run.setting(key) is None for run in runs):
            raise ValueError(f"--by {key}: no run has recorded such a config group or key")
    groups: dict[str, list[Run]] = {}
    for run in runs:
        identity = {key: run.setting(key) for key in by} if by else _trained(run)
        groups.setdefault(json.dumps(identity, sort_keys=True, default=str), []).append(run)
    kept, notices = [], []
    for group in groups.values():
        different = [key for key in _differing(group) if key not in by]
        if by and different:
            notices.append(f"Row {_values(group[0], by)}: its runs differ in {', '.join(different[:5])}, too.")
        seen: dict[Any, Run] = {}
        for run in group:
            twice = run.seed is not None and not different and run.seed in seen
            if twice:
                other = seen[run.seed]
                run, left = (other, run) if other.finished and not run.finished else (run, other)
                notices.append(f"Seed {run.seed} was run twice: {run.folder.name} counts, {left.folder.name} does not.")
            seen[run.seed if run.seed is not None and not different else run.folder] = run
        kept.append(tuple(seen.values()))
    return [Row(label, group) for label, group in zip(_labels(kept, by), kept, strict=True)], notices


def by_benchmark(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that were measured on the same held-out problems, by the benchmark's name, with a number where the same name
    stands for different problems. Runs of different benchmarks are never averaged.

    A run without `evaluation.json` counts to the problems of its name, when there is but one such set; one that died
    before it knew its benchmark counts to the only one of the others.
    """
    sets: dict[str, list[tuple[Any, ...]]] = {}
    problems = [_problems(run) for run in runs]
    names = {run.benchmark for run in runs if run.benchmark is not None}
    only = names.pop() if len(names) == 1 else "unknown benchmark"
    for run, known in zip(runs, problems, strict=True):
        known_sets = sets.setdefault(run.benchmark or only, [])
        if known is not None and known not in known_sets:
            known_sets.append(known)
    groups: dict[str, list[Run]] = {}
    for run, known in zip(runs, problems, strict=True):
        name = run.benchmark or only
        known_sets = sets[name]
        if len(known_sets) > 1:
            name += f" ({known_sets.index(known) + 1})" if known is not None else " (problems unknown)"
        groups.setdefault(name, []).append(run)
    return groups


def _problems(run: Run) -> tuple[Any, ...] | None:
    if run.heldout is None:
        return None
    return tuple((s.problem_id, len(s.draws)) for s in run.heldout.before)


def _trained(run: Run) -> dict[str, Any]:
    """Everything recorded of a run but its seed and where it lies."""
    if run.config:
        return {key: value for key, value in run.config.items() if key.split(".")[0] not in NOT_COMPARED}
    recorded = {key: run.summary.get(key) for key in ("model", "reward", "algorithm")}
    return recorded | dict(pair for pair in _overrides(run) if pair[0].split(".")[0] not in NOT_COMPARED)


def _differing(runs: Sequence[Run]) -> list[str]:
    """Keys, in order, in which the runs' records differ."""
    records = [_trained(run) for run in runs]
    keys = list(dict.fromkeys(key for record in records for key in record))
    return [key for key in keys if any(a.get(key) != b.get(key) for a, b in pairwise(records))]


def _labels(groups: Sequence[tuple[Run, ...]], by: Sequence[str]) -> list[str]:
    """What tells the rows apart, as the user typed it where that suffices."""
    first = [group[0] for group in groups]
    typed = dict.fromkeys(key for run in first for key, _ in _overrides(run))
    keys = [key for key in typed if key.split(".")[0] not in NOT_COMPARED]
    tries: list[Callable[[Run], str]] = [
        lambda run: _values(run, by or [key for key in keys if _varies(first, key)]),
        lambda run: _values(run, [key for key in ("model", "reward", "algorithm") if _varies(first, key)]),
        lambda run: _values(run, _differing(first)[:3]),
    ]
    for label in tries:
        labels = [label(run) for run in first]
        if all(labels) and len(set(labels)) == len(first):
            return labels
    return [run.folder.name for run in first]


def _varies(runs: Sequence[Run], key: str) -> bool:
    return any(a.setting(key) != b.setting(key) for a, b in pairwise(runs))


def _values(run: Run, keys: Sequence[str]) -> str:
    """By the last part of each key, where that tells the keys apart: long labels are cut."""
    last = [key.rpartition(".")[2] for key in keys]
    names = last if len(set(last)) == len(last) else keys
    return ", ".join(f"{name}={_plain(run.setting(key))}" for name, key in zip(names, keys, strict=True))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(inside)}" for key, inside in value.items()) + "}"
    return "null" if value is None else str(value)


def _overrides(run: Run) -> list[tuple[str, str]]:
    """(key, value) of what the user typed."""
    pairs = (override.lstrip("+~").partition("=") for override in run.overrides)
    return [(key, value) for key, _, value in pairs]
