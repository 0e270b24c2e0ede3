"""Example tests: those that a problem's prompt or statement shows, which a solver may run. They are parsed from these
texts alone, so that hidden tests stay hidden."""

from __future__ import annotations

import ast
import builtins
import doctest
import re
from itertools import pairwise

from rltf.benchmarks.prompts import assert_line
from rltf.types import AssertTest, CallTest, Problem, Prompt, StdioTest, Test

_DASHES = re.compile(r"^-{3,}$", re.MULTILINE)
_SECTION = re.compile(r"^(?:-+ *)?(?:Sample|Example)s?\b(?! *(?:Input|Output))[^\n]*$", re.IGNORECASE | re.MULTILINE)
_NOTE = re.compile(r"^(?:-+ *)?(?:Notes?|Constraints|Explanation|Time Limit)\b[^\n]*$", re.IGNORECASE | re.MULTILINE)
_MARK = re.compile(
    r"^(?:-+ *)?(?:(?:Sample|Example) *)?(?P<kind>Input|Output)(?: *#?\d+)?:?(?: *-+)?[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SAMPLE_OUTPUT = re.compile(r"-+ *(?:Sample|Example) *Output\b", re.IGNORECASE)
_SAMPLE_INPUT = re.compile(r"^(?:-+ *)?(?:Sample|Example) *Input\b", re.IGNORECASE | re.MULTILINE)
_GIVES = r"(?:==|=>|->|➞|=|returns?|should return)"


def shown_examples(problem: Problem, prompt: Prompt) -> tuple[Test, ...]:
    """The tests that the prompt shows word for word, else those parsed from the statement of a whole program or from
    the docstrings of a function's header."""
    text = prompt.head + prompt.question + prompt.tail
    examples = tuple(test for test in problem.tests if (line := assert_line(problem, test)) and line in text)
    if examples:
        return examples
    if problem.entry_point is None:
        return stdio_examples(problem.statement)
    return docstring_examples(problem.starter, problem.entry_point)


def stdio_examples(statement: str) -> tuple[StdioTest, ...]:
    """Inputs and outputs under the heading `Examples` of a statement (APPS, Codeforces), or under `Sample Input` and
    `Sample Output` (CodeChef, AtCoder); empty where it has neither.

    >>> stdio_examples("Double it.\\n\\n-----Examples-----\\nInput\\n1\\n\\nOutput\\n2\\n\\n-----Note-----\\nEasy.")
    (StdioTest(stdin='1\\n', stdout='2\\n', tolerance=None, checker='', kind='stdio'),)
    """
    headings = [*_SECTION.finditer(statement), *_SAMPLE_INPUT.finditer(statement)]
    if not headings:
        return ()
    section = statement[min(heading.start() for heading in headings) :]
    marks = list(_MARK.finditer(section))
    ends = [*(mark.start() for mark in marks), len(section)][1:]
    blocks = [
        (mark["kind"].lower(), _block(mark, section[mark.end() : end])) for mark, end in zip(marks, ends, strict=False)
    ]
    return tuple(
        StdioTest(stdin, stdout)
        for (first, stdin), (second, stdout) in pairwise(blocks)
        if (first, second) == ("input", "output") and stdout
    )


def docstring_examples(code: str, function: str) -> tuple[Test, ...]:
    """Examples in the docstrings of a function's header (HumanEval): doctests, and lines such as `f(1) == 2`,
    `f(1) -> 2`, `f(1) returns 2`.

    >>> docstring_examples('def f(x):\\n    \\"\\"\\"Add one.\\n    >>> f(1)\\n    2\\n    \\"\\"\\"\\n', "f")
    (CallTest(function='f', args=(1,), expected=2, or_in_list=False, tolerance=None, kind='call'),)
    """
    tests = []
    for text in _docstrings(code):
        try:
            examples = doctest.DocTestParser().get_examples(text)
        except ValueError:  # prose that looks like a prompt
            continue
        tests += [_parse_example(example.source.strip(), example.want.strip(), function) for example in examples]
        line = re.compile(rf"^[\W\d]*?({function}\(.*\))\s*{_GIVES}\s*(.+?)\.?\s*$", re.MULTILINE)
        tests += [_parse_example(match[1], match[2], function) for match in line.finditer(text)]
    return tuple(test for test in tests if test is not None)


def _block(mark: re.Match[str], text: str) -> str:
    """The lines below a heading, without the empty lines around them and the remarks after them."""
    if _SAMPLE_OUTPUT.match(mark.group()):  # AtCoder explains below an empty line
        text = text.strip("\n").partition("\n\n")[0]
    for stop in (_NOTE, _SECTION, _DASHES):
        if (match := stop.search(text)) is not None:
            text = text[: match.start()]
    text = text.strip("\n").rstrip()
    return f"{text}\n" if text else ""


def _docstrings(code: str) -> list[str]:
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return []
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return [text for node in functions if (text := ast.get_docstring(node)) is not None]


def _parse_example(source: str, output: str, function: str) -> Test | None:
    """The example `source` with the value `output` as a test; None where either is no expression."""
    try:
        call, value = ast.parse(source, mode="eval").body, ast.parse(output, mode="eval").body
    except SyntaxError:
        return None
    names = {node.id for side in (call, value) for node in ast.walk(side) if isinstance(node, ast.Name)}
    if function not in names or any(name != function and not hasattr(builtins, name) for name in names):
        return None  # a formula, or prose
    try:
        expected = ast.literal_eval(value)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.keywords:
            return CallTest(function, tuple(map(ast.literal_eval, call.args)), expected)
    except ValueError:
        pass
    return AssertTest(f"assert {ast.unparse(call)} == ({ast.unparse(value)})")
