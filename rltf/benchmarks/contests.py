"""Problems of programming contests on standard input: packed files of `benchmark=apps`, and the rows of DeepCoder's
training data (Luo et al. 2025; `agentica-org/DeepCoder-Preview-Dataset`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from rltf.benchmarks.apps.benchmark import Apps
from rltf.benchmarks.dataset import UnjudgeableRow
from rltf.benchmarks.files import Row, long_integers
from rltf.benchmarks.hub import hub_rows
from rltf.types import Problem, Split
from rltf.validation import require


class Contests(Apps):
    """Contest problems. Two layouts are read: packed rows of `benchmark=apps` (`question`, `input_output`), and rows of
    DeepCoder's data (`problem`, `tests`, `solutions`, `starter_code`), whose tests are JSON: `inputs` and `outputs`, or
    a list of `input` and `output`.

    Args:
        path: JSON lines, plain or .gz, or a folder with `train.jsonl` and `test.jsonl`; null: `hub`.
        hub: Hugging Face data set id.
        source: configuration of the hub's data set: `primeintellect`, `taco`, `lcbv5` or `codeforces`.
        prompt: `chat`, `doc` or `paper`.
        limit: largest number of problems per split; null: all.
        split: of the rows of a file that does not say it: `train` or `test`.
        max_statement: largest number of characters of a statement; null: any.
        validation_share: part of the training problems that validates instead, chosen by id.
        keep_constant: trains on problems whose tests a constant program passes, too (those with one test).
        chat: options of `prompt=chat`: `system`, `template`; None: none.
        exclude: file with a problem id a line, which are left out of training and validation; null: none.
    """

    name = "contests"
    prefix = "contests"

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "agentica-org/DeepCoder-Preview-Dataset",
        source: str = "primeintellect",
        prompt: str = "chat",
        limit: int | None = None,
        split: str = "train",
        max_statement: int | None = None,
        validation_share: float = 0.05,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
        exclude: str | None = None,
    ) -> None:
        require("split", split, choices=("train", "test"))
        self._source_name, self._file_split = source, split
        super().__init__(
            path,
            hub,
            prompt,
            limit,
            max_statement=max_statement,
            validation_share=validation_share,
            keep_constant=keep_constant,
            chat=chat,
            exclude=exclude,
        )

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        return numbered(hub_rows(hub, config=self._source_name))

    @override
    def rows_from_file(self, path: Any) -> list[Row]:
        return numbered(super().rows_from_file(path))

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        return super().parse_row(self._packed(row) if "problem" in row.fields else row)

    def _packed(self, row: Row) -> Row:
        """A row of DeepCoder's data in the fields of packed ones."""
        split = row.value("split", str, self._file_split)
        problem_id = f"{self._source_name}/{split}/{row.value('problem_id', int):05d}"
        return Row(
            row.place,
            {
                "id": problem_id,
                "split": split,
                "question": row.value("problem", str),
                "starter_code": row.value("starter_code", str, ""),
                "solutions": row.fields.get("solutions") or [],
                "input_output": cases_of(row, problem_id),
            },
        )


def numbered(rows: Sequence[Row]) -> list[Row]:
    """The rows, those without a number of their own with their place in their split as `problem_id`, from 0."""
    counts: dict[Any, int] = {}
    result = []
    for row in rows:
        split = row.fields.get("split")
        number = counts.get(split, 0)
        counts[split] = number + 1
        result.append(Row(row.place, {"problem_id": number, **row.fields}))
    return result


def cases_of(row: Row, problem_id: str) -> dict[str, Any]:
    """The field `tests` as APPS has it: `inputs`, `outputs` and, for calls, `fn_name`.

    Raises:
        ValueError: it is no JSON, or of another form.
        UnjudgeableRow: tests of several kinds, or calls whose function has no name.
    """
    tests = row.fields.get("tests")
    if isinstance(tests, str):
        try:
            with long_integers():
                tests = json.loads(tests)
        except json.JSONDecodeError as error:
            raise ValueError(f"benchmark.path: {row.place} has no JSON in 'tests' ({error.msg})") from None
    if isinstance(tests, Mapping):
        return dict(tests)
    if not isinstance(tests, list) or not all(isinstance(test, Mapping) for test in tests):
        raise ValueError(f"benchmark.path: {row.place} has no list of tests in 'tests'")
    kinds = {str(test.get("type") or test.get("testtype") or "stdin").removesuffix("_stdout") for test in tests}
    cases: dict[str, Any] = {key: [test.get(key[:-1]) for test in tests] for key in ("inputs", "outputs")}
    if kinds <= {"stdin"}:
        return cases
    names = {_function_name(test) for test in tests}
    if len(kinds) > 1 or len(names) > 1 or None in names:
        raise UnjudgeableRow(problem_id, f"its tests are {', '.join(sorted(kinds))} without one function's name")
    return {**cases, "fn_name": names.pop()}


def _function_name(test: Mapping[str, Any]) -> str | None:
    metadata = test.get("metadata")
    return test.get("fn_name") or (metadata.get("func_name") if isinstance(metadata, Mapping) else None)
