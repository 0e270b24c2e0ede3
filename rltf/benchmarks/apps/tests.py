"""APPS's `input_output` as tests, with its conventions: lists of lines, results wrapped in a list, keys that JSON made
strings (the official `testing_util.py` undoes the same three)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from rltf.types import CallTest, StdioTest, Test

LIST_RESULT = re.compile(r"->\s*['\"]?(?:typing\.)?(?:Optional\[)?(?:List|list|Tuple|tuple|Iterable)\b")
"""A starter that says that its function returns a list."""


def stdio_tests(inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[Test, ...]:
    """One test an input; lists of lines are joined.

    >>> stdio_tests([["1", "2"]], ["3"])
    (StdioTest(stdin='1\\n2', stdout='3', kind='stdio'),)
    """
    return tuple(StdioTest(_lines(stdin), _lines(stdout)) for stdin, stdout in zip(inputs, outputs, strict=False))


def call_tests(function: str, inputs: Sequence[Any], outputs: Sequence[Any], starter: str) -> tuple[Test, ...]:
    """One test a list of arguments. Results are taken out of their one-element lists when all are in one and the
    starter does not say that the function returns a list.

    >>> call_tests("f", [[1], [2]], [[False], [True]], "def f(n):")[1]
    CallTest(function='f', args=(2,), expected=True, kind='call')
    >>> call_tests("f", [[1]], [[False]], "def f(n) -> List[bool]:")[0].expected
    [False]
    """
    wrapped = all(isinstance(value, list) and len(value) == 1 for value in outputs)
    unwrap = wrapped and not LIST_RESULT.search(starter)
    return tuple(
        CallTest(function, _arguments(given), _integer_keys(value[0] if unwrap else value))
        for given, value in zip(inputs, outputs, strict=False)
    )


def _lines(text: Any) -> str:
    return "\n".join(map(str, text)) if isinstance(text, list) else str(text)


def _arguments(given: Any) -> tuple[Any, ...]:
    """Arguments; as text, one JSON value a line."""
    values = [json.loads(line) for line in given.splitlines()] if isinstance(given, str) else given
    return tuple(map(_integer_keys, values))


def _integer_keys(value: Any) -> Any:
    """A dictionary with integer keys back, where all its keys read as integers."""
    if not isinstance(value, dict) or not value:
        return value
    try:
        return {int(key): entry for key, entry in value.items()}
    except ValueError:
        return value
