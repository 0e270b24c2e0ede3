"""MBPP (Austin et al. 2021, arXiv 2108.07732): short Python functions with three asserts each. Reads the full file
(974 problems), the sanitized one (427, other field names) and MBPP+ as evalplus has it on the hub, where `test`, a loop
over more inputs, is one test more. All are split by task id."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from rltf.benchmarks.asserts import called_function, function_names, parse
from rltf.benchmarks.dataset import DatasetBenchmark
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.references import normalize_whitespace
from rltf.types import AssertTest, Problem, Split

LAST_PROMPT_ID, LAST_TEST_ID, LAST_VALIDATION_ID = 10, 510, 600
"""Official splits: 1-10 are for few-shot prompts (in no split here), then test, validation, training."""


class Mbpp(DatasetBenchmark):
    """MBPP: 374 training, 90 validation and 500 test problems (sanitized: 120, 43 and 257), less the training problems
    that a constant program passes.

    Args:
        path: `mbpp.jsonl`, `sanitized-mbpp.json` or the rows of `evalplus/mbppplus`, plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems per split; null: all.
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "mbpp"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "google-research-datasets/mbpp",
        prompt: str = "doc",
        limit: int | None = None,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        super().__init__(path, hub, prompt, limit, keep_constant, chat, exclude)

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        return hub_rows(hub, config="full")

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        split = split_of(row.value("task_id", int))
        return None if split is None else (split, self.problem_of(row))

    def problem_of(self, row: Row) -> Problem:
        """The problem in a row.

        Raises:
            ValueError: the row is malformed.
        """
        reference = normalize_whitespace(row.value("code", str))
        tests = row.strings("test_list")
        plus_tests = row.value("test", str, "")
        setup = normalize_whitespace("\n".join([*row.strings("test_imports"), row.value("test_setup_code", str, "")]))
        return Problem(
            id=f"mbpp/{row.value('task_id', int)}",
            statement=row.value("text" if "text" in row.fields else "prompt", str),
            tests=tuple(AssertTest(test.strip()) for test in (*tests, plus_tests) if test.strip()),
            entry_point=called_function(tests[0], function_names(reference)) if tests else None,
            setup=_with_definitions(setup, reference),
            references=(reference,),
        )


def split_of(number: int) -> Split | None:
    """The split of a task by its number; None for the first ten, which are for prompts."""
    if number <= LAST_PROMPT_ID:
        return None
    if number <= LAST_TEST_ID:
        return "test"
    return "validation" if number <= LAST_VALIDATION_ID else "train"


def _with_definitions(setup: str, reference: str) -> str:
    """The setup with what it needs of the reference in front. Tasks 367 and 927 build trees of a class `Node` that only
    the reference defines; without it no program could pass."""
    if not setup:
        return ""
    nodes = [node for node in ast.walk(parse(setup)) if isinstance(node, ast.Name)]
    bound_names = {node.id for node in nodes if isinstance(node.ctx, ast.Store)}
    free_names = {node.id for node in nodes if node.id not in bound_names and not hasattr(builtins, node.id)}
    classes = [node for node in parse(reference).body if isinstance(node, ast.ClassDef) and node.name in free_names]
    return "\n".join([*map(ast.unparse, classes), setup])
