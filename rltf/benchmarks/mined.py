"""Mined functions (`job=mine`, arXiv 2310.13669): the function is the reference, its answers are the tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from typing_extensions import override

from rltf.benchmarks.dataset import DatasetBenchmark
from rltf.benchmarks.files import Row
from rltf.benchmarks.prompts import FORMATS, Completion, Doc, PromptFormat
from rltf.benchmarks.splits import hash_fraction
from rltf.execution.values.codec import decode
from rltf.types import CallTest, Problem, Prompt, Split
from rltf.validation import OptionError, require


class DocOrHeader(PromptFormat):
    """A function's header with its docstring to be continued; without a docstring, what `doc` shows: asserts, and an
    opened header."""

    def prompt(self, problem: Problem) -> Prompt:
        """The prompt of one of the two."""
        return _format(problem).prompt(problem)

    def fits(self, problem: Problem, program: str) -> bool:
        """True where it fits that one."""
        return _format(problem).fits(problem, program)

    def lead(self, problem: Problem) -> str:
        """The start of the program that the prompt gives."""
        return _format(problem).lead(problem)


class Task(PromptFormat):
    """The docstring and a line break, as `benchmark=mini` has its tasks: for policies that learned from such.

    >>> prompt = Task().prompt(Problem("p", "Write a function f of n. Return n doubled.", ()))
    >>> prompt.head + prompt.question + prompt.tail
    'Write a function f of n. Return n doubled.\\n'
    """

    def prompt(self, problem: Problem) -> Prompt:
        """The statement and a line break."""
        return Prompt("", problem.statement, "\n")

    def fits(self, problem: Problem, program: str) -> bool:
        """True: the answer is the program."""
        return True


class Mined(DatasetBenchmark):
    """Problems of a run of `job=mine`. Splits go by the structure of the function, so that clones are in one.

    Args:
        path: `mined.jsonl` of the run, plain or .gz.
        prompt: `doc` (header and docstring, else asserts), `chat`, `paper`, or `task` (the docstring alone).
        limit: largest number of problems per split; None: all.
        validation_share: part of the problems that validates.
        test_share: part of the problems that is held out.
        keep_constant: trains on problems whose tests a constant program passes, too.
        chat: options of `prompt=chat`: `system`, `template`; None: none.
    """

    name = "mined"
    formats: ClassVar[Mapping[str, PromptFormat]] = MappingProxyType({**FORMATS, "doc": DocOrHeader(), "task": Task()})

    def __init__(
        self,
        path: str,
        prompt: str = "doc",
        limit: int | None = None,
        validation_share: float = 0.1,
        test_share: float = 0.2,
        keep_constant: bool = False,
        chat: Mapping[str, Any] | None = None,
    ) -> None:
        require("validation_share", validation_share, at_least=0, below=1)
        require("test_share", test_share, at_least=0, below=1)
        if validation_share + test_share >= 1:
            raise OptionError("test_share", test_share, f"less than 1 with validation_share, {validation_share}")
        self._test_share, self._validation_share = test_share, validation_share
        super().__init__(path, None, prompt, limit, keep_constant, chat)

    @override
    def parse_row(self, row: Row) -> tuple[Split, Problem]:
        name, docstring = row.value("name", str), row.value("docstring", str, "")
        header, code = row.value("header", str), row.value("code", str)
        is_method = header.startswith("class Solution")
        starter = header if docstring or is_method else ""
        problem = Problem(
            id=row.value("id", str),
            statement=docstring or f"Write the {'method' if is_method else 'function'} {name}.",
            tests=tuple(_test(row, fields) for fields in row.value("tests", list)),
            entry_point=name,
            starter=starter,
            setup=row.value("setup", str, ""),
            references=(code,),
            demonstrations=row.strings("demonstrations"),
        )
        return self._split(row.value("structure", str)), problem

    def _split(self, structure: str) -> Split:
        fraction = hash_fraction(structure)
        if fraction < self._test_share:
            return "test"
        return "validation" if fraction < self._test_share + self._validation_share else "train"


def _format(problem: Problem) -> PromptFormat:
    return Completion() if '"""' in problem.starter or "'''" in problem.starter else Doc()


def _test(row: Row, fields: Any) -> CallTest:
    try:
        arguments = tuple(map(decode, fields["args"]))
        return CallTest(fields["function"], arguments, decode(fields["expected"]), tolerance=fields.get("tolerance"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"benchmark.path: {row.place} has a test that cannot be read ({error!r})") from None
