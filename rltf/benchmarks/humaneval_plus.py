"""HumanEval+ (evalplus: Liu et al. 2023, arXiv 2305.01210): HumanEval with many more inputs a task, on which a program
is compared with the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from rltf.benchmarks.differential import differential_check
from rltf.benchmarks.files import Row, read_rows
from rltf.benchmarks.humaneval import HumanEval
from rltf.types import CheckTest, Problem, Split

ZERO_TOLERANCE = 1e-4
"""HumanEval/32 (`find_zero`): how far from 0 its polynomial may be, as in HumanEval's own test."""


class HumanEvalPlus(HumanEval):
    """HumanEval+: test problems only, each with two tests: HumanEval's inputs, and the inputs that were added. Three
    layouts are read:

    - rows of a release of evalplus (`base_input`, `plus_input`, `atol`), both compared with `canonical_solution`;
    - rows of `evalplus/humanevalplus` on the hub, whose `test` defines `check`: one test;
    - HumanEval's own file with `inputs`, a file of more inputs.

    Args:
        path: `HumanEvalPlus.jsonl` or, with `inputs`, `HumanEval.jsonl`; plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        inputs: file of lines `{"task_id": ..., "inputs": [[argument, ...], ...]}`; null: the rows have their inputs.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems; null: all.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
    """

    name = "humaneval+"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "evalplus/humanevalplus",
        inputs: str | None = None,
        prompt: str = "doc",
        limit: int | None = None,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        self._inputs = {} if inputs is None else read_inputs(Path(inputs).expanduser())
        super().__init__(path, hub, prompt, limit, chat)

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem]:
        if "base_input" not in row.fields:
            split, problem = super().parse_row(row)
            plus_inputs = self._inputs.get(problem.id, [])
            tests = [*problem.tests, *self._check(problem, plus_inputs, 0.0)]
            return split, replace(problem, tests=tuple(tests))
        split, problem = super().parse_row(Row(row.place, {**row.fields, "test": "def check(candidate): ..."}))
        tolerance = tolerance_of(row)
        tests = [
            test
            for field in ("base_input", "plus_input")
            for test in self._check(problem, inputs_of(row, field), tolerance)
        ]
        return split, replace(problem, tests=tuple(tests))

    def _check(self, problem: Problem, inputs: list[list[Any]], tolerance: float) -> list[CheckTest]:
        if not inputs:
            return []
        function = str(problem.entry_point)
        if function == "find_zero":
            tolerance = tolerance or ZERO_TOLERANCE
        return [CheckTest(differential_check(problem.references[0], function, inputs, tolerance), function)]


def inputs_of(row: Row, field: str) -> list[list[Any]]:
    """The argument lists in a field; empty where a row has none (evalplus writes `{}` for these).

    Raises:
        ValueError: they are no lists of arguments.
    """
    inputs = row.fields.get(field) or []
    if not isinstance(inputs, list) or not all(isinstance(arguments, list) for arguments in inputs):
        raise ValueError(f"benchmark.path: {row.place} has no list of argument lists in {field!r}")
    return inputs


def tolerance_of(row: Row) -> float:
    """How far numbers may be off: the field `atol`, 0 where a row has none.

    Raises:
        ValueError: it is no number of at least 0.
    """
    value = row.fields.get("atol") or 0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"benchmark.path: {row.place} has {value!r} in 'atol', expected a number of at least 0")
    return float(value)


def read_inputs(path: Path) -> dict[str, list[list[Any]]]:
    """Task id -> argument lists of a file of more inputs.

    Raises:
        ValueError: the file is missing or malformed.
    """
    return {row.value("task_id", str): inputs_of(row, "inputs") for row in read_rows(path)}
