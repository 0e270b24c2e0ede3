"""When a returned value is right: by Python's `==` on builtin types."""

from __future__ import annotations

from typing import Any


def same_value(value: Any, expected: Any) -> bool:
    """`value == expected`, except that a list may be answered by a tuple (JSON has no tuples). Values that cannot be
    compared are not the same.

    >>> same_value((1, [2]), [1, (2,)]), same_value([1, [2]], (1, [2]))
    (False, False)
    """
    try:
        return _same(value, expected)
    except (ArithmeticError, ValueError, TypeError, RecursionError, MemoryError):
        return False


def _same(value: Any, expected: Any) -> bool:
    if type(expected) is list:
        if type(value) not in (list, tuple) or len(value) != len(expected):
            return False
        return all(map(_same, value, expected))
    if type(expected) in (dict, tuple):
        if type(value) is not type(expected) or len(value) != len(expected):
            return False
        if type(expected) is tuple:
            return all(map(_same, value, expected))
        return all(k in value and _same(value[k], e) for k, e in expected.items())
    return bool(value == expected)
