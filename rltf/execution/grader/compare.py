"""When a returned value is right: by Python's `==` on builtin types."""

from __future__ import annotations

from math import isfinite
from typing import Any

from rltf.execution.values.bounds import deeper

_NUMBERS = (int, float)
"""Types that a tolerance is for."""


def same_value(value: Any, expected: Any, tolerance: float | None = None) -> bool:
    """`value == expected`, but a list may be answered by a tuple (JSON has no tuples), and numbers may be off by the
    tolerance: so much absolutely below 1, relatively above. Values that cannot be compared are not the same.

    >>> same_value([1.004, "a"], [1, "a"], 0.01), same_value({"x": 1.02}, {"x": 1.0}, 0.01), same_value(True, 1.0, 0.01)
    (True, False, True)
    >>> same_value((1, [2]), [1, (2,)]), same_value([1, [2]], (1, [2]))
    (False, False)
    """
    try:
        try:
            return _same(value, expected, tolerance)
        except RecursionError:
            with deeper():
                return _same(value, expected, tolerance)
    except (ArithmeticError, ValueError, TypeError, RecursionError, MemoryError):
        return False


def _same(value: Any, expected: Any, tolerance: float | None) -> bool:
    if type(expected) is list:
        if type(value) not in (list, tuple) or len(value) != len(expected):
            return False
        return all(_same(v, e, tolerance) for v, e in zip(value, expected, strict=True))
    if type(expected) in (dict, tuple):
        if type(value) is not type(expected) or len(value) != len(expected):
            return False
        if type(expected) is tuple:
            return all(_same(v, e, tolerance) for v, e in zip(value, expected, strict=True))
        return all(k in value and _same(value[k], e, tolerance) for k, e in expected.items())
    if value == expected:
        return True
    if tolerance is None or type(value) not in _NUMBERS or type(expected) not in _NUMBERS:
        return False
    return isfinite(expected) and abs(value - expected) <= tolerance * max(1.0, abs(expected))
