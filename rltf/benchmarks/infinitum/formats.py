"""Prompt formats of `infinitum`: `plain`, and those of `rltf.benchmarks.prompts` for programs in JavaScript."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice

from rltf.benchmarks.prompts import FENCE, FORMATS, SHOWN_CHARACTERS, SHOWN_TESTS, Chat, Paper, PromptFormat
from rltf.types import CallTest, Extraction, Problem, Prompt

_STOPS = ("\nfunction", "\nconst", "\nlet", "\nvar", "\nclass", "\nconsole", "\nassert", "\nmodule", "\n//", "\n/*")
"""A line of a JavaScript file that begins like these is behind the function."""


class Plain(Paper):
    """The task and a line break; the answer is the program."""

    def prompt(self, problem: Problem) -> Prompt:
        """The statement and a line break."""
        return Prompt(head="", question=problem.statement, tail="\n")


class JavaScriptDoc(PromptFormat):
    """The task and three tests as comment lines, then `function NAME(` to be completed; for base models.

    >>> problem = Problem("p", "Add one.", (CallTest("f", (1,), 2),), entry_point="f", language="javascript")
    >>> prompt = JavaScriptDoc().prompt(problem)
    >>> print(prompt.head + prompt.question + prompt.tail + prompt.answer)
    // Add one.
    // assert.deepStrictEqual(f(1), 2);
    function f(
    """

    def prompt(self, problem: Problem) -> Prompt:
        """Comment lines and the opened header."""
        tail = "".join(f"\n// {line}" for line in shown_calls(problem)) + "\n"
        return Prompt("// ", problem.statement, tail, answer=self.lead(problem), stop=_STOPS)

    def lead(self, problem: Problem) -> str:
        """`function NAME(`."""
        return f"function {problem.entry_point}("

    def fits(self, problem: Problem, program: str) -> bool:
        """False for a program with more than this function."""
        lead = self.lead(problem)
        return program.startswith(lead) and not any(stop in program[len(lead) :] for stop in _STOPS)


class JavaScriptChat(Chat):
    """A user message; the assistant's turn is opened with a code fence and ends at the closing one.

    >>> problem = Problem("p", "Add one.", (), entry_point="f", language="javascript")
    >>> JavaScriptChat().prompt(problem).answer
    '```javascript\\n'
    """

    def prompt(self, problem: Problem) -> Prompt:
        """The task and three tests."""
        lines = [
            "The code must pass these tests:",
            *shown_calls(problem),
            "Answer with one JavaScript code block only.",
        ]
        tail = "".join(f"\n{line}" for line in lines)
        return Prompt("", problem.statement, tail, answer="```javascript\n", chat=True, stop=(FENCE,))

    def extract(self, problem: Problem, text: str) -> Extraction:
        """The text before the closing fence."""
        end = text.find(FENCE)
        return Extraction(0, len(text) if end < 0 else end)


class JavaScriptPaper(Paper):
    """The frame of CodeRL and RLTF around the task and three tests.

    >>> prompt = JavaScriptPaper().prompt(Problem("p", "Add one.", (CallTest("f", (1,), 2),), language="javascript"))
    >>> prompt.tail.split("\\n")[2]
    'assert.deepStrictEqual(f(1), 2);'
    """

    def prompt(self, problem: Problem) -> Prompt:
        """Frame, question, tests, answer marker."""
        lines = ["Your code should satisfy these tests:", *shown_calls(problem)]
        tests = "".join(f"\n{line}" for line in lines)
        return Prompt("\nQUESTION:\n", problem.statement, f"{tests}\n\n\nUse Call-Based format\n\nANSWER:\n")


FORMATS_OF: Mapping[str, Mapping[str, PromptFormat]] = {
    "python": {"plain": Plain(), **FORMATS},
    "javascript": {
        "plain": Plain(),
        "doc": JavaScriptDoc(),
        "chat": JavaScriptChat(),
        "paper": JavaScriptPaper(),
    },
}
"""`benchmark.language` -> `benchmark.prompt` -> format."""


def shown_calls(problem: Problem) -> tuple[str, ...]:
    """Up to three tests of a reasonable length, as lines of JavaScript."""
    lines = (_assertion(test) for test in problem.tests if isinstance(test, CallTest))
    return tuple(islice((line for line in lines if len(line) <= SHOWN_CHARACTERS), SHOWN_TESTS))


def _assertion(test: CallTest) -> str:
    call = f"{test.function}({', '.join(map(json.dumps, test.args))})"
    return f"assert.deepStrictEqual({call}, {json.dumps(test.expected)});"
