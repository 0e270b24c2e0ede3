"""When an answer is right. Printed text as competitive judges read it; values by Python's `==` on builtin types."""

from __future__ import annotations

import re
from typing import Any

TOLERANCE = 1e-6
"""Absolute below 1, relative above; only where the expected token is a float."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


def same_output(printed: str, expected: str) -> bool:
    """Exact after white space at the end; else token by token. Order and number of tokens count.

    >>> same_output("1 2\\n", "1 2"), same_output("0.33333333", "0.333333331"), same_output("2.0", "2")
    (True, True, False)
    """
    if printed.rstrip() == expected.rstrip():
        return True
    got, want = printed.split(), expected.split()
    return len(got) == len(want) and all(map(_same_token, got, want))


def _same_token(got: str, want: str) -> bool:
    if got == want:
        return True
    if _INTEGER.fullmatch(want) or not _NUMBER.fullmatch(want) or not _NUMBER.fullmatch(got):
        return False
    a, b = float(got), float(want)
    return abs(a - b) <= TOLERANCE * max(1.0, abs(b))


def same_value(value: Any, expected: Any) -> bool:
    """`value == expected`, except that a list may be answered by a tuple (JSON has no tuples).

    >>> same_value((1, [2]), [1, (2,)]), same_value([1, [2]], (1, [2]))
    (False, False)
    """
    if type(expected) is list:
        if type(value) not in (list, tuple) or len(value) != len(expected):
            return False
        return all(map(same_value, value, expected))
    if type(expected) in (dict, tuple):
        if type(value) is not type(expected) or len(value) != len(expected):
            return False
        if type(expected) is tuple:
            return all(map(same_value, value, expected))
        return all(k in value and same_value(value[k], e) for k, e in expected.items())
    return bool(value == expected)
