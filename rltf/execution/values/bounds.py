"""What one value may be: bounds that both sides keep, and what is raised beyond them."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MAX_DEPTH = 400
"""Nesting levels; also what stops a list that holds itself."""
MAX_NODES = 10_000_000
"""Elements of one value; a container costs as much as `CONTAINER` of them."""
CONTAINER = 4
MAX_DIGITS = 10_000
"""Decimal digits, about, of the two integers of a fraction, whose arithmetic takes quadratic time."""

_PLAIN_TYPES = (
    int,
    float,
    bool,
    str,
    list,
    tuple,
    dict,
    set,
    frozenset,
    bytes,
    bytearray,
    complex,
    range,
    type,
    object,
)
ERRORS: dict[str, type[BaseException]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
"""Builtin exceptions by name."""
TYPES: dict[str, type] = {cls.__name__: cls for cls in (*_PLAIN_TYPES, type(None))} | ERRORS
"""Builtin classes, which are sent by name."""

_DEEPER = 4000
"""Frames by which the recursion limit is raised for a value that needs them."""


class CannotSend(Exception):
    """A value cannot be sent; the text says why."""


@contextmanager
def deeper() -> Iterator[None]:
    """Lets Python recurse as deep as values may be nested."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + _DEEPER)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def integer(number: Any) -> int:
    """`number`, which must be an int.

    Raises:
        ValueError: It is not.
    """
    if type(number) is not int:
        raise ValueError(f"expected an int, found {type(number).__name__}")
    return number


def text(value: Any) -> str:
    """`value`, which must be a str.

    Raises:
        ValueError: It is not.
    """
    if type(value) is not str:
        raise ValueError(f"expected text, found {type(value).__name__}")
    return value
