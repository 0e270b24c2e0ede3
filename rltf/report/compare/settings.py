"""Grouping of runs: the runs of a row have the same settings and differ in the seed only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rltf.report.read.run import Run

NOT_COMPARED = ("seed", "name", "group", "resume", "trusted", "paths", "callbacks", "logger", "hydra")
"""Config keys, with all below them, that do not change what is trained."""


@dataclass(frozen=True)
class Row:
    """Runs with the same settings but for the seed, and a short name for these settings."""

    label: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[Any, ...]:
        """Seed of each run."""
        return tuple(run.seed for run in self.runs)

    @property
    def finished(self) -> tuple[Run, ...]:
        """The runs that have results after RL."""
        return tuple(run for run in self.runs if run.finished)


def all_runs(rows: Sequence[Row]) -> list[Run]:
    """The runs of all rows, row by row."""
    return [run for row in rows for run in row.runs]


def group_into_rows(runs: Sequence[Run], by: Sequence[str] = ()) -> tuple[list[Row], list[str]]:
    """Rows in the order of their first runs, and sentences on what a reader should know of the grouping.

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
        identity = {key: run.setting(key) for key in by} if by else _training_settings(run)
        groups.setdefault(json.dumps(identity, sort_keys=True, default=str), []).append(run)
    row_runs, notices = [], []
    for group in groups.values():
        differing_keys = [key for key in _differing_keys(group) if key not in by]
        if by and differing_keys:
            notices.append(f"Row {_label(group[0], by)}: its runs differ in {', '.join(differing_keys[:5])}, too.")
        counted_runs: dict[Any, Run] = {}
        for run in group:
            identity_in_row = run.seed if run.seed is not None and not differing_keys else run.folder
            if same_seed_run := counted_runs.get(identity_in_row):
                run, ignored = (
                    (same_seed_run, run) if same_seed_run.finished and not run.finished else (run, same_seed_run)
                )
                notices.append(
                    f"Seed {run.seed} was run twice: {run.folder.name} counts, {ignored.folder.name} does not."
                )
            counted_runs[identity_in_row] = run
        row_runs.append(tuple(counted_runs.values()))
    return [Row(label, group) for label, group in zip(_row_labels(row_runs, by), row_runs, strict=True)], notices


def group_by_benchmark(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Runs that were measured on the same held-out problems, by the benchmark's name, with a number where the same name
    stands for different problems. Runs of different benchmarks are never averaged.

    A run without `evaluation.json` counts to the problems of its name, when there is but one such set; one that died
    before it knew its benchmark counts to the only one of the others.
    """
    problems_by_name: dict[str, list[tuple[Any, ...]]] = {}
    run_problems = [_heldout_problems(run) for run in runs]
    names = {run.benchmark for run in runs if run.benchmark is not None}
    default_name = names.pop() if len(names) == 1 else "unknown benchmark"
    for run, problems in zip(runs, run_problems, strict=True):
        problem_sets = problems_by_name.setdefault(run.benchmark or default_name, [])
        if problems is not None and problems not in problem_sets:
            problem_sets.append(problems)
    groups: dict[str, list[Run]] = {}
    for run, problems in zip(runs, run_problems, strict=True):
        name = run.benchmark or default_name
        problem_sets = problems_by_name[name]
        if len(problem_sets) > 1:
            name += f" ({problem_sets.index(problems) + 1})" if problems is not None else " (problems unknown)"
        groups.setdefault(name, []).append(run)
    return groups


def _heldout_problems(run: Run) -> tuple[Any, ...] | None:
    """Id and number of draws of each problem; None without `evaluation.json`."""
    if run.heldout is None:
        return None
    return tuple((p.problem_id, len(p.draws)) for p in run.heldout.before_rl)


def _training_settings(run: Run) -> dict[str, Any]:
    """Recorded key -> value, without the seed and the keys that do not change what is trained."""
    if run.config:
        return {key: value for key, value in run.config.items() if key.split(".")[0] not in NOT_COMPARED}
    recorded = {key: run.summary.get(key) for key in ("model", "reward", "algorithm")}
    return recorded | dict(pair for pair in _overrides(run) if pair[0].split(".")[0] not in NOT_COMPARED)


def _differing_keys(runs: Sequence[Run]) -> list[str]:
    """Keys, in order, in which the runs' records differ."""
    records = [_training_settings(run) for run in runs]
    keys = list(dict.fromkeys(key for record in records for key in record))
    return [key for key in keys if any(a.get(key) != b.get(key) for a, b in pairwise(records))]


def _row_labels(groups: Sequence[tuple[Run, ...]], by: Sequence[str]) -> list[str]:
    """The settings in which the rows differ, as the user typed them where that suffices."""
    runs = [group[0] for group in groups]
    overridden = dict.fromkeys(key for run in runs for key, _ in _overrides(run))
    keys = [key for key in overridden if key.split(".")[0] not in NOT_COMPARED]
    for label_keys in (
        by or [key for key in keys if _varies(runs, key)],
        [key for key in ("model", "reward", "algorithm") if _varies(runs, key)],
        _differing_keys(runs)[:3],
    ):
        labels = [_label(run, label_keys) for run in runs]
        if all(labels) and len(set(labels)) == len(runs):
            return labels
    return [run.folder.name for run in runs]


def _varies(runs: Sequence[Run], key: str) -> bool:
    return any(a.setting(key) != b.setting(key) for a, b in pairwise(runs))


def _label(run: Run, keys: Sequence[str]) -> str:
    """The values of some keys, each with the last part of its key where these parts differ: long labels are cut."""
    last_parts = [key.rpartition(".")[2] for key in keys]
    names = last_parts if len(set(last_parts)) == len(last_parts) else keys
    return ", ".join(f"{name}={_plain(run.setting(key))}" for name, key in zip(names, keys, strict=True))


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(child)}" for key, child in value.items()) + "}"
    return "null" if value is None else str(value)


def _overrides(run: Run) -> list[tuple[str, str]]:
    """(key, value) of each override that the user typed."""
    pairs = (override.lstrip("+~").partition("=") for override in run.overrides)
    return [(key, value) for key, _, value in pairs]
