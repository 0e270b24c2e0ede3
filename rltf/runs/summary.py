"""`summary.json`, `results.json` and the closing table of a run."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from rltf.metrics.evaluation import EvaluationResult
from rltf.runs.atomic import write_text
from rltf.runs.commit import code_commit
from rltf.runs.files import EVALUATION_FILE, SUMMARY_FILE
from rltf.runs.record import read_summary

PACKAGES = ("rltf", "torch", "lightning", "transformers", "tokenizers", "hydra-core", "torchmetrics", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide a run's numbers."""
    numbers = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            numbers[package] = version(package)
        except PackageNotFoundError:
            continue
    return numbers


def evaluation_record(result: EvaluationResult) -> dict[str, Any]:
    """The results of an evaluation as plain values."""
    return {
        "pass_at_k": {str(k): round(value, 6) for k, value in result.pass_at_k.items()},
        "pass_at_k_interval": {
            str(k): {"value": round(value, 6), "low": round(low, 6), "high": round(high, 6)}
            for (k, value), (low, high) in zip(result.pass_at_k.items(), result.intervals.values(), strict=True)
        },
        "greedy_pass_at_1": result.greedy_pass_at_1,
        "tests_passed": None if result.tests_passed is None else round(result.tests_passed, 6),
        "outcomes": result.outcomes(),
        "errors": result.errors(),
        "by_difficulty": _rounded(result.by_difficulty()),
        "by_tag": _rounded(result.by_tag()),
    }


def evaluation_metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """Metric -> value of an evaluation, for loggers, from its record: a resumed run logs the same digits."""
    greedy, tests_passed = record["greedy_pass_at_1"], record.get("tests_passed")
    return {
        **{f"pass@{k}": value for k, value in record["pass_at_k"].items()},
        **({} if greedy is None else {"greedy_pass@1": round(greedy, 6)}),
        **({} if tests_passed is None else {"tests_passed": tests_passed}),
    }


def write_evaluation(folder: Path, name: Literal["before", "after"], result: EvaluationResult) -> None:
    """Adds what every held-out program did to `evaluation.json`, for comparisons of runs.

    Args:
        folder: the run folder.
        name: `before` or `after` RL; `before` begins the file anew, and is all that an evaluation of one policy writes.
        result: of that evaluation.
    """
    path = folder / EVALUATION_FILE
    content = json.loads(path.read_text(encoding="utf-8")) if name != "before" and path.exists() else {}
    keys = ("problem_id", "difficulty", "tags", "draws", "greedy_passed", "tests_passed", "errors")
    problems = [{key: getattr(problem, key) for key in keys} for problem in result.problems]
    write_json(path, {**content, name: problems}, indent=None)


class RunSummary:
    """`summary.json`, written from the first evaluation on, so that a run that is killed leaves its results so far.

    Args:
        folder: the run folder.
        content: what is known when the run begins: benchmark, choices, seed.
        writes: False on all ranks but the first.
    """

    def __init__(self, folder: Path, content: Mapping[str, Any], writes: bool) -> None:
        self.path, self._writes = folder / SUMMARY_FILE, writes
        self.content: dict[str, Any] = {"status": "running", **content, "started": _now(), "versions": versions()}
        if (commit := code_commit()) is not None:
            self.content["commit"] = commit
        self.initial_evaluation: dict[str, Any] | None = None
        """Record of the evaluation before RL, once there is one."""

    def read_before(self) -> None:
        """Takes the evaluation before RL from the summary of a run that is resumed."""
        if self.path.exists():
            summary = read_summary(self.path.parent)
            self.initial_evaluation = summary.get("evaluation", {}).get("before")
            self.content["started"] = summary.get("started", self.content["started"])

    def write(self) -> None:
        """Writes what is known so far."""
        if self.initial_evaluation is not None:
            self.content.setdefault("evaluation", {})["before"] = self.initial_evaluation
        if self._writes:
            write_json(self.path, self.content)

    def finish(
        self,
        final_result: EvaluationResult,
        counts: Mapping[str, int],
        seconds: Mapping[str, float],
        starts: int,
        stop_reason: str | None = None,
    ) -> None:
        """Writes the summary of a complete run.

        Args:
            final_result: the evaluation after RL.
            counts: `iterations`, `optimizer_steps` (the warm-up's included), `programs_sampled`, `programs_judged`.
            seconds: wall time by phase.
            starts: times that the run was started.
            stop_reason: why RL ended early; None: it did not.
        """
        assert self.initial_evaluation is not None
        evaluations = {"before": self.initial_evaluation, "after": evaluation_record(final_result)}
        self.content |= {
            "status": "finished",
            "pass_at_k": {name: e["pass_at_k"] for name, e in evaluations.items()},
            "pass_at_k_interval": {name: e["pass_at_k_interval"] for name, e in evaluations.items()},
            "problems": len(final_result.problems),
            **counts,
            **_time_record(seconds, starts),
            "evaluation": evaluations,
        }
        if stop_reason:
            self.content["stopped_early"] = stop_reason
        self.write()

    def abort(self, error: BaseException, seconds: Mapping[str, float], starts: int) -> None:
        """Writes the summary of a run that `error` ended."""
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        self.content |= {"status": "interrupted" if interrupted else "failed", **_time_record(seconds, starts)}
        if not interrupted:
            self.content["error"] = f"{type(error).__name__}: {error}"
        with suppress(OSError):  # a full disk must not hide what happened
            self.write()


def _now() -> str:
    """Date, time and offset from UTC, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _time_record(seconds: Mapping[str, float], starts: int) -> dict[str, Any]:
    return {
        "pieces": starts,
        "seconds": {"total": round(sum(seconds.values()), 3), **{k: round(v, 3) for k, v in seconds.items()}},
    }


def write_json(path: Path, content: Mapping[str, Any], indent: int | None = 2) -> None:
    """Replaces the file by a JSON object."""
    write_text(path, json.dumps(content, indent=indent, ensure_ascii=False) + "\n")


def print_table(console: Console, columns: dict[str, dict[str, Any]]) -> None:
    """Prints pass@k with 95 % intervals over problems, one column per evaluation.

    Args:
        console: where to print.
        columns: name -> `evaluation_record` of it.
    """
    table = Table("held-out", *columns)
    for k in next(iter(columns.values()))["pass_at_k_interval"]:
        table.add_row(f"pass@{k}", *(_cell(column["pass_at_k_interval"].get(k)) for column in columns.values()))
    greedy = [column["greedy_pass_at_1"] for column in columns.values()]
    if None not in greedy:
        table.add_row("greedy", *(f"{value:6.1%}" for value in greedy))
    tests_passed = [column.get("tests_passed") for column in columns.values()]
    if None not in tests_passed:
        table.add_row("tests", *(f"{value:6.1%}" for value in tests_passed))
    console.print(table)


def _cell(entry: dict[str, float] | None) -> str:
    return f"{entry['value']:6.1%}  [{entry['low']:.1%}, {entry['high']:.1%}]" if entry else "-"


def _rounded(table: dict[str, dict[int, float]]) -> dict[str, dict[str, float]]:
    return {name: {str(k): round(value, 6) for k, value in row.items()} for name, row in table.items()}
