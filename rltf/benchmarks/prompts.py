"""Prompt formats `doc`, `chat` and `paper`: one class each, which renders the prompt, finds the program in the answer,
and writes the answer of a demonstration. Supervised training, sampling and evaluation use the same renderer; the
official RLTF code had two that differed by blank lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from rltf.benchmarks.answers import program_in_opened_block
from rltf.benchmarks.languages import NAMES, other_program
from rltf.types import AssertTest, CallTest, Extraction, Problem, Prompt, Test

SHOWN_TESTS = 3
SHOWN_CHARACTERS = 400
"""Calls whose assert would be longer are not shown."""
FENCE = "\n```"
STATEMENT_STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n#", "\ndef")


class PromptFormat(ABC):
    """A format of prompts and answers."""

    @abstractmethod
    def prompt(self, problem: Problem) -> Prompt:
        """The prompt of a problem."""

    @abstractmethod
    def fits(self, problem: Problem, program: str) -> bool:
        """True if an answer in this format can hold the program."""

    def lead(self, problem: Problem) -> str:
        """Start of the program that the prompt gives, so that it is not sampled."""
        return ""

    def extract(self, problem: Problem, text: str) -> Extraction:
        """Position of the program in an answer whose stop string is cut off."""
        return Extraction(0, len(text), self.lead(problem))

    def answer(self, problem: Problem, program: str) -> str:
        """The answer from which `extract` gets `program`.

        Raises:
            ValueError: the program does not fit.
        """
        if not self.fits(problem, program):
            raise ValueError(f"benchmark.prompt: {type(self).__name__} cannot ask for this program of {problem.id}")
        return program[len(self.lead(problem)) :]


class Doc(PromptFormat):
    """The task and three asserts as a docstring, then `def NAME(` to be completed; for base models.

    >>> problem = Problem("p", "Add one.", (AssertTest("assert f(1) == 2"),), entry_point="f")
    >>> prompt = Doc().prompt(problem)
    >>> prompt.head + prompt.question + prompt.tail + prompt.answer
    '\"\"\"\\nAdd one.\\nassert f(1) == 2\\n\"\"\"\\ndef f('
    >>> Doc().extract(problem, "x): return x + 1").program("x): return x + 1")
    'def f(x): return x + 1'
    """

    def prompt(self, problem: Problem) -> Prompt:
        """Docstring and opened header; without a function to write, only the docstring before the whole program."""
        tail = "".join(f"\n{line}" for line in shown_asserts(problem)) + '\n"""\n'
        return Prompt('"""\n', problem.statement, tail, answer=self.lead(problem), stop=self._stop(problem))

    def lead(self, problem: Problem) -> str:
        """`def NAME(`, for LeetCode inside `class Solution:`."""
        if problem.entry_point is None:
            return ""
        header = "class Solution:\n    " if is_method(problem) else ""
        return f"{header}def {problem.entry_point}("

    def fits(self, problem: Problem, program: str) -> bool:
        """False for a program that opens with an import or a helper, or has one after the function."""
        lead = self.lead(problem)
        return program.startswith(lead) and not any(stop in program[len(lead) :] for stop in self._stop(problem))

    def _stop(self, problem: Problem) -> tuple[str, ...]:
        return ('\n"""',) if problem.entry_point is None else STATEMENT_STOPS


class Completion(PromptFormat):
    """Code to be continued (HumanEval): the problem's starter is the prompt, and belongs to the program.

    >>> problem = Problem("p", "", (), entry_point="f", starter="def f(x):\\n    '''Add one.'''\\n")
    >>> Completion().answer(problem, problem.starter + "    return x + 1")
    '    return x + 1'
    """

    def prompt(self, problem: Problem) -> Prompt:
        """The starter, whose last line is never cut, so that the answer starts after a closed docstring."""
        last = problem.starter.rstrip("\n").rfind("\n") + 1
        return Prompt("", problem.starter[:last], problem.starter[last:], stop=STATEMENT_STOPS)

    def lead(self, problem: Problem) -> str:
        """The starter."""
        return problem.starter

    def fits(self, problem: Problem, program: str) -> bool:
        """True for the starter continued with one function body."""
        body = program[len(problem.starter) :]
        return program.startswith(problem.starter) and not any(stop in body for stop in STATEMENT_STOPS)


@dataclass(frozen=True)
class Chat(PromptFormat):
    """A user message; the assistant's turn is opened with a code fence and ends at the closing one.

    Args:
        system: the system turn in front of it; None: there is none, unless the chat template adds one.
        template: keywords of the tokenizer's chat template, e.g. `enable_thinking`.

    >>> problem = Problem("p", "Add one.", (AssertTest("assert f(1) == 2"),), entry_point="f")
    >>> Chat().prompt(problem).answer
    '```python\\n'
    >>> Chat().answer(problem, "def f(x): return x + 1")
    'def f(x): return x + 1\\n```'
    """

    system: str | None = None
    template: Mapping[str, Any] = field(default_factory=dict)

    def prompt(self, problem: Problem) -> Prompt:
        """The task, its starter if any, and three asserts or, for a whole program, a line on input and output."""
        asserts = shown_asserts(problem)
        lines = [problem.starter.rstrip()] if shows_starter(problem) else []
        if asserts:
            lines += ["The code must pass these tests:", *asserts]
        elif problem.entry_point is None:
            lines += ["The program reads standard input and writes standard output."]
        name = NAMES[problem.language]
        tail = "".join(f"\n{line}" for line in [*lines, f"Answer with one {name} code block only."])
        return Prompt(
            "",
            problem.statement,
            tail,
            answer=f"```{problem.language}\n",
            chat=True,
            system=self.system,
            template=self.template,
            stop=(FENCE,),
        )

    def fits(self, problem: Problem, program: str) -> bool:
        """False for a program with a fence inside."""
        return FENCE not in "\n" + program

    def extract(self, problem: Problem, text: str) -> Extraction:
        """The text before the closing fence; of an answer that opens a fence of its own, by the rule of
        `rltf.benchmarks.answers` (Python) or `rltf.benchmarks.languages` (others)."""
        if problem.language != "python":
            return other_program(text)
        return program_in_opened_block(text, problem.entry_point).extraction

    def answer(self, problem: Problem, program: str) -> str:
        """The program and the closing fence."""
        return super().answer(problem, program) + FENCE


class Paper(PromptFormat):
    """The prompt of CodeRL and RLTF for CodeT5 (the training side of the official code). MBPP's asserts come after the
    task, as in the paper's zero-shot test; to put them inside the same frame is our choice.

    >>> prompt = Paper().prompt(Problem("p", "Add two numbers.", ()))
    >>> prompt.head + prompt.question + prompt.tail
    '\\nQUESTION:\\nAdd two numbers.\\n\\n\\nUse Standard Input format\\n\\nANSWER:\\n'
    """

    def prompt(self, problem: Problem) -> Prompt:
        """Frame, question, starter (or an empty line), format line, answer marker."""
        asserts = () if problem.starter.strip() else shown_asserts(problem)  # one of them names the function
        tests = "".join(f"\n{line}" for line in ["Your code should satisfy these tests:", *asserts]) if asserts else ""
        starter = problem.starter if shows_starter(problem) else ""
        style = "Use Standard Input format" if problem.entry_point is None else "Use Call-Based format"
        return Prompt("\nQUESTION:\n", problem.statement, f"{tests}\n{starter}\n\n{style}\n\nANSWER:\n")

    def fits(self, problem: Problem, program: str) -> bool:
        """True: the answer is the program."""
        return True


FORMATS: dict[str, PromptFormat] = {"doc": Doc(), "chat": Chat(), "paper": Paper()}
"""`benchmark.prompt` -> format."""


def shown_asserts(problem: Problem) -> tuple[str, ...]:
    """Up to three tests as assert lines: asserts as they are, calls of a reasonable length; no other tests."""
    lines = (assert_line(problem, test) for test in problem.tests)
    return tuple(islice(filter(None, lines), SHOWN_TESTS))


def shows_starter(problem: Problem) -> bool:
    """True if the prompt shows the starter: there is one, and the statement does not contain it (HumanEval's does)."""
    return bool(problem.starter.strip()) and problem.starter not in problem.statement


def is_method(problem: Problem) -> bool:
    """True if the function to be written is a method of `class Solution` (LeetCode)."""
    return "class Solution" in problem.starter


def assert_line(problem: Problem, test: Test) -> str:
    """The test as a line of a prompt; empty for a test that prompts do not show."""
    match test:
        case AssertTest():
            code = test.code.strip()
            return code if code.startswith("assert") else ""  # others are programs, such as the loops of MBPP+
        case CallTest():
            instance = "Solution()." if is_method(problem) else ""
            arguments = ", ".join(map(repr, test.args))
            line = f"assert {instance}{test.function}({arguments}) == {test.expected!r}"
            return line if len(line) <= SHOWN_CHARACTERS else ""
        case _:
            return ""
