"""MultiPL-E (Cassano et al. 2023, arXiv 2208.08227): HumanEval and MBPP in JavaScript and C++.

Deviations from the paper's runner, which puts tests behind the program and looks at the exit status:

1. JavaScript: each `assert.deepEqual(candidate(...), value)` is one call, compared outside of the program. Where a row
   has other statements, or values that JSON does not have, the problem is left out.
2. C++: `main` with the asserts stands in front of the program, behind a declaration of its function, and prints a
   word at its end that the judge looks for, so that a program that exits by itself does not pass.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

from typing_extensions import override

from rltf.benchmarks.dataset import DatasetBenchmark, UnjudgeableRow
from rltf.benchmarks.files import Row
from rltf.benchmarks.hub import hub_rows
from rltf.benchmarks.languages import require_installed
from rltf.benchmarks.prompts import FORMATS, PromptFormat
from rltf.types import CallTest, Extraction, Problem, Prompt, Split, StdioTest, Test
from rltf.validation import require

LANGUAGES: Mapping[str, str] = {"javascript": "js", "cpp": "cpp"}
"""`benchmark.language` -> what the data set calls it."""
STOPS: Mapping[str, tuple[str, ...]] = {
    "javascript": ("\nfunction ", "\n/*", "\n//", "\nconsole.log"),
    "cpp": ("\n}",),
}
_NAME = re.compile(r"(\w+)\s*\([^()]*\)\s*\{\s*\Z")
_UNDEFINED = re.compile(r'("(?:[^"\\]|\\.)*")|\bundefined\b', re.DOTALL)
_LAST_WORD = """\
def check(stdin, expected, printed):
    return printed.rstrip().endswith(expected)
"""


@dataclass(frozen=True)
class Continuation(PromptFormat):
    """Code to be continued: a comment and the function's header. The program is the header and what follows; in C++ the
    brace at which the answer stops belongs to it."""

    def prompt(self, problem: Problem) -> Prompt:
        """The whole starter, whose header is never cut."""
        head = problem.starter[: -len(self.lead(problem))]
        return Prompt("", head, self.lead(problem), stop=STOPS[problem.language])

    def lead(self, problem: Problem) -> str:
        """The function's header: the starter's last line."""
        return problem.starter[problem.starter.rstrip("\n").rfind("\n") + 1 :]

    def extract(self, problem: Problem, text: str) -> Extraction:
        """Header, answer, and a closing brace in C++."""
        return Extraction(0, len(text), self.lead(problem), "\n}" if problem.language == "cpp" else "")

    def fits(self, problem: Problem, program: str) -> bool:
        """True for the header continued with one function body."""
        lead = self.lead(problem)
        body = program[len(lead) :].removesuffix("\n}") if problem.language == "cpp" else program[len(lead) :]
        closed = problem.language != "cpp" or program.endswith("\n}")
        return program.startswith(lead) and closed and not any(stop in body for stop in STOPS[problem.language])

    def answer(self, problem: Problem, program: str) -> str:
        """What follows the header, without the last brace in C++."""
        answer = super().answer(problem, program)
        return answer.removesuffix("\n}") if problem.language == "cpp" else answer


class MultiplE(DatasetBenchmark):
    """MultiPL-E: test problems only; the data set has no reference programs.

    Args:
        path: JSON lines or a JSON list with `name`, `language`, `prompt`, `tests`, plain or .gz; null: `hub`.
        hub: Hugging Face data set id.
        dataset: `humaneval` or `mbpp`, for the hub's configuration.
        language: `javascript` or `cpp`; rows in other languages are passed over.
        prompt: `doc` (the data set's own: code to be continued) or `chat`.
        limit: largest number of problems; null: all.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
    """

    name = "multipl-e"
    formats: ClassVar[Mapping[str, PromptFormat]] = MappingProxyType({"doc": Continuation(), "chat": FORMATS["chat"]})

    def __init__(
        self,
        path: str | None = None,
        hub: str | None = "nuprl/MultiPL-E",
        dataset: str = "humaneval",
        language: str = "javascript",
        prompt: str = "doc",
        limit: int | None = None,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        require("dataset", dataset, choices=("humaneval", "mbpp"))
        require("language", language, choices=LANGUAGES)
        require_installed(language)
        self._dataset, self._language = dataset, language
        super().__init__(path, hub, prompt, limit, chat=chat)

    @override
    def rows_from_hub(self, hub: str) -> list[Row]:
        return hub_rows(hub, config=f"{self._dataset}-{LANGUAGES[self._language]}")

    @override
    def requirement(self) -> str:
        return f"{super().requirement()} and is in {LANGUAGES[self._language]}"

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem] | None:
        if row.value("language", str) != LANGUAGES[self._language]:
            return None
        problem_id = f"multipl-e/{self._language}/{row.value('name', str)}"
        starter = row.value("prompt", str)
        header = starter[starter.rstrip("\n").rfind("\n") + 1 :]
        name_match = _NAME.search(header)
        if name_match is None:
            raise UnjudgeableRow(
                problem_id, f"its prompt does not end with the header of a function ({header.strip()!r})"
            )
        tests_text = row.value("tests", str)
        in_cpp = self._language == "cpp"
        setup = cpp_setup(starter, header, tests_text, last_word(problem_id)) if in_cpp else ""
        tests: tuple[Test, ...]
        try:
            tests = (cpp_test(problem_id),) if in_cpp else javascript_tests(tests_text, name_match[1])
        except ValueError as error:
            raise UnjudgeableRow(problem_id, f"its tests {error}") from None
        return "test", Problem(
            id=problem_id,
            statement=starter,
            tests=tests,
            entry_point=name_match[1],
            starter=starter,
            setup=setup,
            language=self._language,
        )


def javascript_tests(text: str, function: str) -> tuple[CallTest, ...]:
    """The calls of a test text in JavaScript.

    Raises:
        ValueError: a statement of `test()` is no `assert.deepEqual` of a call and a value that JSON has.

    >>> text = 'function test() {let candidate = f;\\nassert.deepEqual(candidate([1.0], "a"),true);\\n}\\n\\ntest();'
    >>> javascript_tests(text, "f")
    (CallTest(function='f', args=([1.0], 'a'), expected=True, or_in_list=False, tolerance=None, kind='call'),)
    """
    body = text.partition("let candidate =")[2].partition(";")[2]
    # `assert.deepEqual` holds undefined equal to null, which is how the judge has it
    body = _UNDEFINED.sub(lambda match: match[1] or "null", body.rpartition("}")[0].strip())
    tests = []
    while body:
        if not body.startswith("assert.deepEqual(candidate("):
            raise ValueError(f"have a statement other than assert.deepEqual ({_first_line(body)})")
        args, tail = _values(body.removeprefix("assert.deepEqual(candidate("))
        expected, tail = _values(tail.removeprefix(",")) if tail.startswith(",") else ([], "")
        if len(expected) != 1:
            raise ValueError(f"compare a call with other than one value ({_first_line(body)})")
        tests.append(CallTest(function, tuple(args), expected[0]))
        body = tail.removeprefix(";").strip()
    return tuple(tests)


def _values(text: str) -> tuple[list[Any], str]:
    """(values up to a closing bracket, text behind it)."""
    decoder, values = json.JSONDecoder(strict=False), []  # one row of HumanEval has line ends in its texts
    text = text.lstrip()
    while not text.startswith(")"):
        try:
            value, end = decoder.raw_decode(text)
        except (json.JSONDecodeError, RecursionError):
            raise ValueError(f"hold a value that JSON does not have ({_first_line(text)})") from None
        values.append(value)
        text = text[end:].lstrip().removeprefix(",").lstrip()
    return values, text[1:].lstrip()


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:80]


def last_word(problem_id: str) -> str:
    """What `main` of a C++ problem prints when all asserts held; no prompt shows it."""
    return hashlib.sha256(f"multipl-e tests of {problem_id}".encode()).hexdigest()[:24]


def cpp_test(problem_id: str) -> StdioTest:
    """The test of a C++ problem: its `main` reaches its end."""
    return StdioTest("", last_word(problem_id), checker=_LAST_WORD)


def cpp_setup(starter: str, header: str, tests: str, word: str) -> str:
    """What stands in front of a C++ program: headers and types of the prompt, the function declared, and `main`.

    >>> print(cpp_setup("#include<assert.h>\\n// Add one.\\nint f(int x) {\\n", "int f(int x) {\\n",
    ...                 "}\\nint main() {\\n    assert(f(1) == 2);\\n}\\n", "end"))
    #include<assert.h>
    #include <cstdio>
    int f(int x);
    int main() {
        assert(f(1) == 2);
        std::puts("end");
    }
    """
    preamble = starter.removesuffix(header)
    lines = [line for line in preamble.split("\n") if line.strip() and not line.lstrip().startswith("//")]
    declaration = header.strip().removesuffix("{").rstrip() + ";"
    main = tests.strip().removeprefix("}").strip().removesuffix("}").rstrip()
    return "\n".join([*lines, "#include <cstdio>", declaration, main, f'    std::puts("{word}");', "}"])
