"""APPS (Hendrycks et al. 2021, arXiv 2105.09938): 10,000 problems, programs and functions, in three difficulties. Reads
the official folders, packed JSON lines (the forms `stdin`, `call`, `function` and LeetCode's `class`) and the hub.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from rltf.benchmarks.apps.folders import folder_rows
from rltf.benchmarks.apps.tests import call_tests, stdio_tests
from rltf.benchmarks.asserts import call_test, called_function
from rltf.benchmarks.dataset import TESTS, DatasetBenchmark, UnjudgeableRow
from rltf.benchmarks.files import Row, long_integers
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.references import normalize_line_ends
from rltf.benchmarks.splits import hash_fraction
from rltf.types import CheckTest, Problem, Split, Test
from rltf.validation import OptionError, require

SETUP = """\
import collections, fractions, functools, heapq, itertools, math, random, re, string, sys, time
from collections import *
from functools import *
from heapq import *
from itertools import accumulate, combinations, permutations, product
from math import ceil, cos, exp, fabs, floor, gcd, log, log2, sin, sqrt, tan
from typing import *
"""
"""Imports before every program: those of the official test script and more, but no numpy. `math` in part, since its
`pow` would hide the builtin."""
SCRIPT_SETUP = f"{SETUP}stdin, stdout = sys.stdin, sys.stdout\n"
"""The same for whole programs, with the two names that the official script gives them."""
METHOD = "Solution()."
"""Prefix of an entry point that is a method."""


class Apps(DatasetBenchmark):
    """APPS, and other problems in its file format (LeetCode, code contests).

    Args:
        path: packed JSON lines, plain or .gz, or a folder that holds `train/` and `test/` in the official layout (one
            folder a problem) or the hub's `train.jsonl` and `test.jsonl`; null: `hub`.
        hub: Hugging Face data set id.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems per split; null: all.
        difficulties: difficulties of the problems used, e.g. `[introductory]`; null: all.
        max_statement: largest number of characters of a statement; null: any.
        max_solution: largest number of characters of the shortest reference program; null: any.
        validation_share: part of the training problems that validates instead, between 0 and 1. Whether a problem
            belongs to it depends on its id alone.
        keep_constant: trains, as the paper does, on problems whose tests a constant program passes, too. Many problems
            on stdin have one test, and their statement shows it.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "apps"
    prefix: ClassVar[str] = "apps"
    """Start of the ids of problems that have numbers alone."""

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "codeparrot/apps",
        prompt: str = "paper",
        limit: int | None = None,
        difficulties: Sequence[str] | None = None,
        max_statement: int | None = None,
        max_solution: int | None = None,
        validation_share: float = 0.05,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("validation_share", validation_share, at_least=0, below=1)
        if isinstance(difficulties, str) or (difficulties is not None and not difficulties):
            raise OptionError("difficulties", difficulties, "a list of names, or null for all")
        self._difficulties = None if difficulties is None else tuple(difficulties)
        self._difficulties_met: set[str] = set()
        self._max_statement, self._max_solution = max_statement, max_solution
        self._validation_share = validation_share
        super().__init__(path, hub, prompt, limit, keep_constant, chat, exclude)

    @override
    def rows_from_file(self, path: Path) -> list[Row]:
        return folder_rows(path) if path.is_dir() else super().rows_from_file(path)

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        # Not the data set's own layout: a script, which `datasets` has refused to run since 4.0 (datasets #7693).
        return hub_rows(hub, files=("train.jsonl", "test.jsonl"))

    @override
    def requirement(self) -> str:
        if self._difficulties is None:
            limits = {"max_statement": self._max_statement, "max_solution": self._max_solution}
            options = [f"benchmark.{key}={value}" for key, value in limits.items() if value is not None]
            return " and ".join([TESTS, *options])
        names = ", ".join(sorted(map(repr, self._difficulties_met)))
        return f"{TESTS} and a difficulty of benchmark.difficulties={list(self._difficulties)} (found: {names})"

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        difficulty = row.value("difficulty", str, "")
        self._difficulties_met.add(difficulty)
        if self._difficulties is not None and difficulty not in self._difficulties:
            return None
        split = row.value("split", str)
        if split not in ("train", "test"):
            raise ValueError(f"benchmark.path: {row.place} has the split {split!r}, expected train or test")
        problem_id = self._problem_id(row, split)
        starter = row.value("starter_code", str, "")
        tests, entry_point = _tests(row, starter, problem_id)
        solutions = [normalize_line_ends(solution) for solution in _decoded(row, "solutions", [])]
        statement = row.value("question", str).strip()
        if self._max_statement is not None and len(statement) > self._max_statement:
            return None
        if self._max_solution is not None and min(map(len, solutions), default=0) > self._max_solution:
            return None
        return self._split(split, problem_id), Problem(
            id=problem_id,
            statement=statement,
            tests=tests,
            entry_point=entry_point,
            starter=starter.strip(),
            setup=row.value("prelude", str, SCRIPT_SETUP if entry_point is None else SETUP),
            difficulty=difficulty,
            references=tuple(dict.fromkeys(solutions)),
        )

    def _problem_id(self, row: Row, split: str) -> str:
        """The id of a row: its own in packed files, made from the number in official ones."""
        if isinstance(row.fields.get("id"), str):
            return row.value("id", str)
        return f"{self.prefix}/{split}/{row.value('id' if 'id' in row.fields else 'problem_id', int):04d}"

    def _split(self, split: str, problem_id: str) -> Split:
        if split == "test":
            return "test"
        return "validation" if hash_fraction(problem_id) < self._validation_share else "train"


def _tests(row: Row, starter: str, problem_id: str) -> tuple[tuple[Test, ...], str | None]:
    """(tests, name of the function that they call; None for whole programs) of a row.

    Raises:
        UnjudgeableRow: not every input has an output.
    """
    if row.fields.get("test"):
        target = row.value("entry_point", str)
        return (CheckTest(row.value("test", str), target),), target.removeprefix(METHOD)
    if asserts := row.strings("tests"):
        return tuple(map(call_test, asserts)), called_function(asserts[0])
    cases = _decoded(row, "input_output", {})
    inputs, outputs = cases.get("inputs") or [], cases.get("outputs") or []
    if not isinstance(inputs, list) or not isinstance(outputs, list):
        raise ValueError(f"benchmark.path: {row.place} has in 'input_output' no lists of inputs and outputs")
    if len(inputs) != len(outputs):
        detail = f"'input_output' has {len(inputs)} inputs and {len(outputs)} outputs"
        raise UnjudgeableRow(problem_id, f"{detail}, so that nobody knows which belong together")
    function = cases.get("fn_name")
    if function is None:
        return stdio_tests(inputs, outputs), None
    try:
        return call_tests(function, inputs, outputs, starter), function
    except (TypeError, ValueError) as error:
        problem = "an input that is no list of arguments, or text as input or output that is no JSON"
        raise ValueError(f"benchmark.path: {row.place} has {problem} ({error})") from error


def _decoded(row: Row, field: str, default: Any) -> Any:
    """The value of a field, decoded where it is JSON text (hub and official folders)."""
    value = row.fields.get(field) or default
    if isinstance(value, str):
        try:
            with long_integers():
                value = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"benchmark.path: {row.place} has no JSON in {field!r} ({error.msg})") from None
    if not isinstance(value, type(default)):
        raise ValueError(
            f"benchmark.path: {row.place} has {type(value).__name__} in {field!r}, expected {type(default).__name__}"
        )
    return value
