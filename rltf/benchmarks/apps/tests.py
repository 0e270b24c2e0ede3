"""Tests from the field `input_output` of APPS. Conventions are undone as in the official `testing_util.py`: text as
lists of lines, results wrapped in a list, and integer keys that JSON made strings; and that of LiveCodeBench, whose
arguments and results are JSON text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from rltf.benchmarks.files import long_integers
from rltf.types import CallTest, StdioTest, Test

LIST_RESULT = re.compile(r"->\s*['\"]?(?:typing\.)?(?:Optional\[)?(?:List|list|Tuple|tuple|Iterable)\b")
"""Return annotation of a starter whose function returns a list."""


def stdio_tests(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[Test, ...]:
    """One test for each input, in the order of the outputs, of which there are as many; lists of lines are joined.

    >>> stdio_tests([["1", "2"]], ["3"])
    (StdioTest(stdin='1\\n2', stdout='3', tolerance=None, checker='', kind='stdio'),)
    """
    return tuple(StdioTest(_lines(stdin), _lines(stdout)) for stdin, stdout in zip(inputs, outputs, strict=True))


def call_tests(function: str, inputs: Sequence[Any], outputs: Sequence[Any], starter: str) -> tuple[Test, ...]:
    """One test for each list of arguments, or text with one JSON value a line, whose result is such text, too.

    Results are unwrapped when all are lists of one element and the starter does not declare that the function returns a
    list. Whether they were wrapped is not known for certain: as in the official script, the list is right, too. It also
    takes the first element of longer lists, which no reference here returns.

    >>> call_tests("f", [[1], [2]], [[False], [True]], "def f(n):")[1]
    CallTest(function='f', args=(2,), expected=True, or_in_list=True, tolerance=None, kind='call')
    >>> call_tests("f", [[1]], [[False]], "def f(n) -> List[bool]:")[0].expected
    [False]
    """
    wrapped = all(isinstance(value, list) and len(value) == 1 for value in outputs)
    unwrap = wrapped and not LIST_RESULT.search(starter)
    tests = []
    with long_integers():
        for source, result in zip(inputs, outputs, strict=True):
            if isinstance(source, str):
                lines = [line for line in source.split("\n") if line.strip()]
                arguments, expected = list(map(json.loads, lines)), _parsed(result)
            else:
                arguments, expected = source, result[0] if unwrap else result
            values = tuple(map(_integer_keys, arguments))
            tests.append(CallTest(function, values, _integer_keys(expected), unwrap and not isinstance(source, str)))
    return tuple(tests)


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


def _parsed(result: Any) -> Any:
    """A result that belongs to arguments in text, which is text itself."""
    return json.loads(result) if isinstance(result, str) else result


def _integer_keys(value: Any) -> Any:
    """The value; a dictionary whose keys are all the text of integers, with these integers as keys."""
    if not isinstance(value, dict) or not value:
        return value
    try:
        return {int(key): entry for key, entry in value.items()}
    except ValueError:
        return value
