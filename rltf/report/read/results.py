"""`results.json`, `evaluation.json` and `samples.jsonl`: what an evaluation of one policy found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rltf.report.compare.statistics import Estimate
from rltf.report.read.evaluation import ProblemOutcome, read_heldout
from rltf.report.read.examples import Example
from rltf.report.read.folders import natural_order
from rltf.report.read.run import hydra_record
from rltf.runs.defaults import flat_config
from rltf.runs.files import EVALUATION_FILE, RESULTS_FILE, SAMPLES_FILE
from rltf.runs.record import read_overrides
from rltf.types import decode_error

MOST_OF_AN_OUTCOME = 6
"""Programs of each outcome that are shown."""


@dataclass(frozen=True)
class Evaluation:
    """An evaluation's folder as the report reads it."""

    folder: Path
    results: Mapping[str, Any]
    """Content of `results.json`."""
    pass_at_k: Mapping[str, Estimate]
    """`pass@k` -> share with its interval over problems; `greedy` where greedy programs were drawn."""
    gallery: tuple[Example, ...]
    """The first programs of each outcome."""
    overrides: tuple[str, ...] = ()
    """Overrides that the user typed behind `python eval.py`."""
    config: Mapping[str, Any] | None = None
    """Dotted key of the composed config -> value; None when not recorded."""
    problems: tuple[ProblemOutcome, ...] = ()
    """Outcomes problem by problem; empty when not recorded."""


def evaluation_folders(path: Path) -> list[Path]:
    """The evaluation's folder that `path` is, or those right inside it (a multirun); empty: there is none."""
    if (path / RESULTS_FILE).is_file():
        return [path]
    return sorted((file.parent for file in path.glob(f"*/{RESULTS_FILE}")), key=natural_order)


def read_evaluation(folder: Path) -> Evaluation:
    """Reads an evaluation's folder.

    Raises:
        ValueError: `results.json` is damaged, or of another form.
    """
    try:
        results = json.loads((folder / RESULTS_FILE).read_text(encoding="utf-8"))
        estimates = {
            f"pass@{k}": Estimate(float(e["value"]), float(e["low"]), float(e["high"]))
            for k, e in results["pass_at_k_interval"].items()
        }
        if results.get("greedy_pass_at_1") is not None:
            estimates["greedy"] = Estimate(float(results["greedy_pass_at_1"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"{folder / RESULTS_FILE} cannot be read ({reason}): expected what eval.py writes") from None
    try:
        overrides = tuple(read_overrides(folder))
    except (OSError, ValueError):
        overrides = ()
    config = flat_config(hydra_record(folder, "config.yaml")) or None
    heldout = read_heldout(folder / EVALUATION_FILE)[0] if (folder / EVALUATION_FILE).is_file() else None
    problems = () if heldout is None else heldout.before_rl
    return Evaluation(folder, results, estimates, tuple(_gallery(folder / SAMPLES_FILE)), overrides, config, problems)


def _gallery(path: Path) -> Iterator[Example]:
    """The first different programs of each outcome; lines that are damaged are passed over."""
    programs_of_outcome: dict[str, set[str]] = {}
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                example = _example(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
            programs = programs_of_outcome.setdefault(example.outcome, set())
            if len(programs) < MOST_OF_AN_OUTCOME and example.program not in programs:
                programs.add(example.program)
                yield example


def _example(record: Mapping[str, Any]) -> Example:
    return Example(
        iteration=None,
        problem_id=str(record["task_id"]),
        program=str(record["solution"]),
        outcome=str(record["outcome"]),
        passed=int(record["passed"]),
        total=int(record["total"]),
        draw=int(record["draw"]),
        greedy=int(record["draw"]) < 0,
        error=decode_error(record.get("error")),
        task=str(record.get("task") or ""),
    )
