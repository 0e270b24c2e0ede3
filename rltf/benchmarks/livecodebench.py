"""LiveCodeBench (Jain et al. 2024, arXiv 2403.07974): problems of contests with their dates, so that a model can be
evaluated on those that came after its training data.

`benchmark.prompt=chat` is the benchmark's own question to chat models.
"""

from __future__ import annotations

import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from typing_extensions import override

from rltf.benchmarks.apps.benchmark import SCRIPT_SETUP, SETUP
from rltf.benchmarks.apps.tests import call_tests, stdio_tests
from rltf.benchmarks.dataset import TESTS, DatasetBenchmark, UnjudgeableRow
from rltf.benchmarks.files import Row, read_rows
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.prompts import FORMATS, Chat, PromptFormat
from rltf.types import Problem, Prompt, Split, Test
from rltf.validation import OptionError

FILES = tuple(f"test{number or ''}.jsonl" for number in ("", 2, 3, 4, 5, 6))
"""Files of the data set: each release adds one."""
SYSTEM = (
    "You are an expert Python programmer. You will be given a question (problem specification) and will generate a "
    "correct Python program that matches the specification and passes all tests."
)
_WITH_STARTER = (
    "You will use the following starter code to write the solution to the problem and enclose your code within "
    "delimiters."
)
_WITHOUT_STARTER = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample "
    "inputs). Enclose your code within delimiters as follows. Ensure that when the python program runs, it reads the "
    "inputs, runs the algorithm and writes output to STDOUT."
)


@dataclass(frozen=True)
class LiveCodeBenchChat(Chat):
    """The benchmark's question to chat models, word for word; its system turn, unless another is set."""

    @override
    def prompt(self, problem: Problem) -> Prompt:
        """Question, format line, starter or an empty block, and the opened answer."""
        line = _WITH_STARTER if problem.starter else _WITHOUT_STARTER
        code = problem.starter or "# YOUR CODE HERE"
        answer_line = "### Answer: (use the provided format with backticks)"
        tail = f"\n\n### Format: {line}\n```python\n{code}\n```\n\n{answer_line}\n\n"
        prompt = super().prompt(problem)
        return Prompt(
            "### Question:\n",
            prompt.question,
            tail,
            answer=prompt.answer,
            chat=True,
            system=SYSTEM if self.system is None else self.system,
            template=self.template,
            stop=prompt.stop,
        )


class LiveCodeBench(DatasetBenchmark):
    """LiveCodeBench's code generation: test problems only, functions (LeetCode) and whole programs (AtCoder,
    Codeforces), public tests first.

    Args:
        path: a release file (`test5.jsonl`), plain or .gz, or a folder with some of them; null: `hub`.
        hub: Hugging Face data set id.
        since: first day of the contests, e.g. 2024-08-01; null: any.
        until: last day; null: any.
        platforms: of `leetcode`, `atcoder`, `codeforces`; null: all.
        difficulties: of `easy`, `medium`, `hard`; null: all.
        prompt: `chat` (the benchmark's own), `doc` or `paper`.
        limit: largest number of problems; null: all.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
    """

    name = "livecodebench"
    formats: ClassVar[Mapping[str, PromptFormat]] = MappingProxyType({**FORMATS, "chat": LiveCodeBenchChat()})

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "livecodebench/code_generation_lite",
        since: str | date | None = None,
        until: str | date | None = None,
        platforms: Sequence[str] | None = None,
        difficulties: Sequence[str] | None = None,
        prompt: str = "chat",
        limit: int | None = None,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        self._since, self._until = read_day("since", since), read_day("until", until)
        self._only = {"platform": _names("platforms", platforms), "difficulty": _names("difficulties", difficulties)}
        self._days: list[date] = []
        super().__init__(path, hub, prompt, limit, chat=chat)

    @override
    def rows_from_file(self, path: Path) -> list[Row]:
        if not path.is_dir():
            return read_rows(path)
        files = [path / name for name in FILES if (path / name).is_file()]
        if not files:
            raise ValueError(f"benchmark.path: {path} has none of {', '.join(FILES)}")
        return [row for file in files for row in read_rows(file)]

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        # Not the data set's own layout: a script, which `datasets` has refused to run since 4.0 (datasets #7693).
        return hub_rows(hub, files=FILES)

    @override
    def requirement(self) -> str:
        window = f" from {self._since or 'any day'} to {self._until or 'any day'}"
        days = f" (contests are from {min(self._days)} to {max(self._days)})" if self._days else ""
        return TESTS + window + days

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        day = row_day(row, "contest_date")
        self._days.append(day)
        if not (self._since or date.min) <= day <= (self._until or date.max):
            return None
        if any(names is not None and row.value(field, str, "") not in names for field, names in self._only.items()):
            return None
        problem_id = f"livecodebench/{row.value('question_id', str)}"
        starter = row.value("starter_code", str, "")
        tests, function = _tests(row, problem_id, starter)
        return "test", Problem(
            id=problem_id,
            statement=row.value("question_content", str).strip(),
            tests=tests,
            entry_point=function,
            starter=starter.strip(),
            setup=SCRIPT_SETUP if function is None else SETUP,
            difficulty=row.value("difficulty", str, ""),
            tags=tuple(filter(None, (row.value("platform", str, ""),))),
        )


_OF_ONE_TEXT = {
    *("PROTO", "FRAME", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "MEMOIZE"),
    *("PUT", "BINPUT", "LONG_BINPUT", "STOP"),
}
"""Operations of a pickle that holds one text, in every protocol."""


def decode_cases(text: str) -> list[Any]:
    """The test cases in a field: JSON text; private ones are such text pickled, compressed and in base 64. A pickle may
    run code when it is loaded: this one is not loaded, its one text is taken out of it.

    Raises:
        ValueError: the text is neither.

    >>> decode_cases('[{"input": "1"}]')
    [{'input': '1'}]
    """
    if not text.strip():
        return []
    if not text.lstrip().startswith("["):
        try:
            operations = list(pickletools.genops(zlib.decompress(base64.b64decode(text, validate=True))))
        except (binascii.Error, zlib.error, ValueError) as error:
            raise ValueError(f"is neither JSON nor compressed text ({error})") from None
        foreign_operations = {operation.name for operation, _, _ in operations} - _OF_ONE_TEXT
        texts = [value for _, value, _ in operations if isinstance(value, str)]
        if foreign_operations or len(texts) != 1:
            raise ValueError(
                f"holds a pickle of other things than one text ({', '.join(sorted(foreign_operations)) or 'none'})"
            )
        [text] = texts
    try:
        cases = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"is no JSON ({error.msg})") from None
    if not isinstance(cases, list):
        raise ValueError(f"is a JSON {type(cases).__name__}, expected a list")
    return cases


def read_day(key: str, value: str | date | None) -> date | None:
    """The day of an option; None for None.

    Raises:
        OptionError: it is none.
    """
    if value is None or isinstance(value, datetime):
        return None if value is None else value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise OptionError(key, value, "a day as YEAR-MONTH-DAY, e.g. 2024-08-01, or null") from None


def row_day(row: Row, field: str) -> date:
    """The day in a field of a row: text that begins with YEAR-MONTH-DAY, or a date.

    Raises:
        ValueError: it is none.
    """
    value = row.fields.get(field)
    if isinstance(value, date):
        return value.date() if isinstance(value, datetime) else value
    text = row.value(field, str)
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise ValueError(f"benchmark.path: {row.place} has {text!r} in {field!r}, expected a day") from None


def _names(key: str, names: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(names, str) or (names is not None and not names):
        raise OptionError(key, names, "a list of names, or null for all")
    return None if names is None else tuple(names)


def _tests(row: Row, problem_id: str, starter: str) -> tuple[tuple[Test, ...], str | None]:
    """(tests, name of the function; None for whole programs)."""
    cases: list[Any] = []
    for field in ("public_test_cases", "private_test_cases"):
        try:
            cases += decode_cases(row.value(field, str, ""))
        except ValueError as error:
            raise ValueError(f"benchmark.path: {row.place} has a {field!r} that {error}") from None
    for number, case in enumerate(cases, start=1):
        if not isinstance(case, dict) or not all(isinstance(case.get(key), str) for key in ("input", "output")):
            raise ValueError(f"benchmark.path: {row.place} has a test {number} without the texts 'input' and 'output'")
    kinds = {case.get("testtype", "stdin") for case in cases}
    if len(kinds) > 1:
        raise UnjudgeableRow(problem_id, f"its tests are of several kinds ({', '.join(sorted(map(str, kinds)))})")
    inputs, outputs = [case["input"] for case in cases], [case["output"] for case in cases]
    if kinds <= {"stdin"}:
        return stdio_tests(inputs, outputs), None
    try:
        function = json.loads(row.value("metadata", str, "{}")).get("func_name")
        if not isinstance(function, str):
            raise UnjudgeableRow(problem_id, "its metadata names no function ('func_name')")
        return call_tests(function, inputs, outputs, starter), function
    except (json.JSONDecodeError, AttributeError) as error:
        raise UnjudgeableRow(problem_id, f"its arguments, results or metadata are no JSON ({error})") from None
