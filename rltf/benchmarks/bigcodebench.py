"""BigCodeBench (Zhuo et al. 2024, arXiv 2406.15877): functions that call libraries, with `unittest` classes as tests.

Only problems whose libraries the sandbox has are in the split: Python's own and numpy. The others are counted by what
they lack.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from typing_extensions import override

from rltf.benchmarks.dataset import TESTS, DatasetBenchmark, UnjudgeableRow
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.prompts import FORMATS, Completion, PromptFormat
from rltf.execution.languages import installed_runtimes
from rltf.execution.pytest_module import module_tests
from rltf.types import AssertTest, Problem, Split


class BigCodeBench(DatasetBenchmark):
    """BigCodeBench: test problems only, one test for each method of its `TestCases`. `prompt=doc` is
    BigCodeBench-Complete (a header with its docstring), `prompt=chat` BigCodeBench-Instruct (the question in prose).

    Args:
        path: JSON lines in the fields of the hub's rows, plain or .gz; null: `hub`.
        hub: Hugging Face data set id; `bigcode/bigcodebench-hard` has 148 problems.
        version: split of the hub's data set, which is a version of it, e.g. `v0.1.4`.
        prompt: `doc`, `chat` or `paper`.
        limit: largest number of problems; null: all.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
    """

    name = "bigcodebench"
    formats: ClassVar[Mapping[str, PromptFormat]] = MappingProxyType({**FORMATS, "doc": Completion()})

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "bigcode/bigcodebench",
        version: str = "v0.1.4",
        prompt: str = "doc",
        limit: int | None = None,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        self._version, self._completes = version, prompt == "doc"
        self._libraries = frozenset({*sys.stdlib_module_names, *(["numpy"] if "numpy" in installed_runtimes() else [])})
        super().__init__(path, hub, prompt, limit, chat=chat)

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        rows = hub_rows(hub)
        versions = sorted({str(row.fields["split"]) for row in rows})
        if self._version not in versions:
            raise ValueError(f"benchmark.version: {hub} has no {self._version}, only {', '.join(versions)}")
        return [row for row in rows if row.fields["split"] == self._version]

    @override
    def requirement(self) -> str:
        return f"{TESTS} and libraries that the sandbox has"

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem]:
        problem_id = row.value("task_id", str)
        header = row.value("complete_prompt", str)
        test = row.value("test", str)
        missing = sorted(self._imported(row, header, test) - self._libraries)
        if missing:
            raise UnjudgeableRow(problem_id, f"it needs {', '.join(missing)}, which the sandbox does not have")
        try:
            tests = tuple(AssertTest(method.code) for method in module_tests(test))
        except ValueError as error:
            raise UnjudgeableRow(problem_id, f"its test module {error}") from None
        function = row.value("entry_point", str)
        return (
            "test",
            Problem(
                id=problem_id,
                statement=row.value("instruct_prompt", str).strip() if not self._completes else header,
                tests=tests,
                entry_point=function,
                starter=header if self._completes else "",  # the question in prose has its start of the program inside
                setup=header[: header.index(f"def {function}(")] if f"def {function}(" in header else "",
                references=(header + row.value("canonical_solution", str),),
            ),
        )

    def _imported(self, row: Row, header: str, test: str) -> set[str]:
        """Libraries of a problem: those that it names, and those that header and tests import."""
        libraries = row.fields.get("libs") or []
        try:
            names = ast.literal_eval(libraries) if isinstance(libraries, str) else libraries
            imported = [node for code in (f"{header}\n    pass", test) for node in ast.walk(ast.parse(code))]
        except (SyntaxError, ValueError) as error:
            raise ValueError(
                f"benchmark.path: {row.place} has libs, a prompt or a test that is no Python ({error})"
            ) from None
        modules = {alias.name for node in imported if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in imported if isinstance(node, ast.ImportFrom) and node.module}
        return {str(name).partition(".")[0] for name in [*names, *modules]}
