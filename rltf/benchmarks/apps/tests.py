"""Tests from the field `input_output` of APPS. Three conventions are undone, as in the official `testing_util.py`: text
as lists of lines, results wrapped in a list, and integer keys that JSON made strings."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from rltf.types import CallTest, StdioTest, Test

LIST_RESULT = re.compile(r"->\s*['\"]?(?:typing\.)?(?:Optional\[)?(?:List|list|Tuple|tuple|Iterable)\b")
"""Return annotation of a starter whose function returns a list."""


def stdio_tests(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[Test, ...]:
    """One test for each input; lists of lines are joined.

    >>> stdio_tests([["1", "2"]], ["3"])
    (StdioTest(stdin='1\\n2', stdout='3', kind='stdio'),)
    """
    return tuple(StdioTest(_lines(stdin), _lines(stdout)) for stdin, stdout in zip(inputs, outputs, strict=False))


def call_tests(function: str, inputs: Sequence[Any], outputs: Sequence[Any], starter: str) -> tuple[Test, ...]:
    """One test for each list of arguments. Results are unwrapped when all are lists of one element and the starter does
    not declare that the function returns a list.

    >>> call_tests("f", [[1], [2]], [[False], [True]], "def f(n):")[1]
    CallTest(function='f', args=(2,), expected=True, kind='call')
    >>> call_tests("f", [[1]], [[False]], "def f(n) -> List[bool]:")[0].expected
    [False]
    """
    wrapped = all(isinstance(value, list) and len(value) == 1 for value in outputs)
    unwrap = wrapped and not LIST_RESULT.search(starter)
    return tuple(
        CallTest(function, _arguments(arguments), _integer_keys(value[0] if unwrap else value))
        for arguments, value in zip(inputs, outputs, strict=False)
    )


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


def _arguments(source: Any) -> tuple[Any, ...]:
    """Arguments of a call, from a list or from text with one JSON value per line."""
    values = [json.loads(line) for line in source.splitlines()] if isinstance(source, str) else source
    return tuple(map(_integer_keys, values))


def _integer_keys(value: Any) -> Any:
    """The value; a dictionary whose keys are all the text of integers, with these integers as keys."""
    if not isinstance(value, dict) or not value:
        return value
    try:
        return {int(key): entry for key, entry in value.items()}
    except ValueError:
        return value
