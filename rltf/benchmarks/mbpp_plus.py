"""MBPP+ (evalplus: Liu et al. 2023, arXiv 2305.01210): tasks of MBPP with about a hundred inputs each, on which a
program is compared with the reference."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from rltf.benchmarks.asserts import parse
from rltf.benchmarks.differential import differential_check, shaped
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.humaneval_plus import inputs_of, tolerance_of
from rltf.benchmarks.mbpp import Mbpp, split_of
from rltf.benchmarks.prompts import SHOWN_TESTS
from rltf.benchmarks.references import normalize_whitespace
from rltf.types import AssertTest, CheckTest, Problem, Split, Test
from rltf.validation import require

_QUOTES = re.compile(r"\A\s*(?:'''|\"\"\")|(?:'''|\"\"\")\s*\Z")


class MbppPlus(Mbpp):
    """MBPP+, each task with two tests: MBPP's inputs, and those that were added. Two layouts are read: rows of a
    release of evalplus (`base_input`, `plus_input`, `assertion`), and rows of `evalplus/mbppplus` on the hub, with a
    `test` that loops over inputs and results beside the asserts of `test_list`. The prompt shows MBPP's first asserts.

    JSON has no tuples: arguments are tuples and sets where MBPP's asserts have them.

    Args:
        path: `MbppPlus.jsonl`, plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems per split; null: all.
        splits: `all`: every task is a test problem, as evalplus has it; `mbpp`: by MBPP's ids, so that tasks 601 to 974
            can be trained on (they are training problems of `mbpp`, too).
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "mbpp+"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "evalplus/mbppplus",
        prompt: str = "doc",
        limit: int | None = None,
        splits: str = "all",
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("splits", splits, choices=("all", "mbpp"))
        self._all = splits == "all"
        self._shown: dict[str, tuple[Test, ...]] = {}
        super().__init__(path, hub, prompt, limit, keep_constant, chat, exclude)

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        return hub_rows(hub)

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        released = "base_input" in row.fields
        split: Split | None = "test" if self._all else split_of(_number(row) if released else row.value("task_id", int))
        if split is None:
            return None
        if released:
            return split, self._released(row)
        problem = self.problem_of(row)
        return split, problem

    @override
    def examples(self, problem: Problem) -> tuple[Test, ...]:
        return self._shown.get(problem.id) or super().examples(problem)

    def _released(self, row: Row) -> Problem:
        """The problem in a row of a release."""
        problem_id = f"mbpp/{_number(row)}"
        function = row.value("entry_point", str)
        reference = normalize_whitespace(row.value("canonical_solution", str))
        lines = [line.strip() for line in row.value("assertion", str, "").split("\n") if line.strip()]
        asserts = [line for line in lines if line.startswith("assert")]
        tolerance = tolerance_of(row)
        examples = [arguments for line in asserts if (arguments := example_arguments(line, function)) is not None]
        tests = []
        for field in ("base_input", "plus_input"):
            inputs = [list(shaped(arguments, _nearest(arguments, examples))) for arguments in inputs_of(row, field)]
            if inputs:
                tests.append(CheckTest(differential_check(reference, function, inputs, tolerance), function))
        task = _QUOTES.sub("", row.value("prompt", str)).strip()
        examples_shown = [] if "assert " in task else asserts[:SHOWN_TESTS]
        self._shown[problem_id] = tuple(map(AssertTest, asserts[:SHOWN_TESTS]))
        return Problem(
            id=problem_id,
            statement="\n".join([task, *examples_shown]),
            tests=tuple(tests),
            entry_point=function,
            references=(reference,),
        )


def example_arguments(line: str, function: str) -> tuple[Any, ...] | None:
    """The arguments of the first call of a function in an assert; None where they are no literals.

    >>> example_arguments("assert set(f((1, 2), [3])) == {1}", "f")
    ((1, 2), [3])
    """
    try:
        calls = [node for node in ast.walk(parse(line)) if isinstance(node, ast.Call)]
        call = next(node for node in calls if isinstance(node.func, ast.Name) and node.func.id == function)
        return tuple(map(ast.literal_eval, call.args))
    except (SyntaxError, ValueError, StopIteration):
        return None


def _nearest(arguments: list[Any], examples: list[tuple[Any, ...]]) -> list[Any]:
    """The example for a list of arguments: the first with as many."""
    return next((list(example) for example in examples if len(example) == len(arguments)), [])


def _number(row: Row) -> int:
    """Number of a task whose id is `Mbpp/NUMBER`.

    Raises:
        ValueError: it has another id.
    """
    task = row.value("task_id", str)
    if not (match := re.fullmatch(r"Mbpp/(\d+)", task)):
        raise ValueError(f"benchmark.path: {row.place} has the task_id {task!r}, expected Mbpp/NUMBER")
    return int(match[1])
