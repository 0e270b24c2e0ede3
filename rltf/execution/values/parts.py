"""What a value consists of, to see whether the input of one call would be the answer to another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from rltf.execution.values.bounds import deeper

_UNORDERED = ("set", "frozenset")
_SEQUENCES = ("tuple", "deque")
_MAX_CALLS = 256
_MAX_BYTES = 1 << 15
"""Of calls on their way: less than a socket holds, so that answers are read while the program makes them."""


def parts_of(encoded: Iterable[Any]) -> frozenset[Hashable]:
    """Values and all their elements, keys among them, in a form in which equal ones are equal.

    Args:
        encoded: values as `rltf.execution.values.codec.encode` returns them. A list and a tuple of the same elements
            are one form, as a test takes one for the other.

    >>> sorted(map(str, parts_of([[1, "a"], {"tuple": [1.0, True]}])))
    ["(1, 'a')", '(1.0, True)', '1', 'a']
    """
    parts: set[Hashable] = set()
    with deeper():
        for value in encoded:
            _collect(value, parts)
    return frozenset(parts)


def _collect(encoded: Any, parts: set[Hashable]) -> Hashable:
    """The form of a value; adds it, and those of its elements."""
    form: Hashable
    if type(encoded) is list:
        form = tuple(_collect(element, parts) for element in encoded)
    elif type(encoded) is not dict:
        form = encoded
    else:
        ((tag, body),) = encoded.items()
        if tag in _SEQUENCES:
            form = _collect(body[0] if tag == "deque" else body, parts)
        elif tag in _UNORDERED:
            form = frozenset(_collect(element, parts) for element in body)
        elif tag == "dict":
            elements = [_collect(element, parts) for element in body]
            form = frozenset(zip(elements[::2], elements[1::2], strict=True))
        else:
            form = (tag, repr(body))
    parts.add(form)
    return form


class CallsTogether:
    """Calls that may be on their way to a program at once. It can read all that was sent to it, so none of them is
    given what an earlier one should answer, or a part of that; and they fit into a socket.

    >>> calls, one, two = CallsTogether(), frozenset({1}), frozenset({2})
    >>> calls.add(10, answers=two)
    >>> calls.may_take(10, inputs=one), calls.may_take(10, inputs=two), calls.may_take(1 << 15, inputs=one)
    (True, False, False)
    """

    def __init__(self) -> None:
        self._count = self._size = 0
        self._answers: set[Hashable] = set()

    def may_take(self, size: int, inputs: frozenset[Hashable]) -> bool:
        """True where another call of so many bytes is not too much, and gives no answer away; the first always."""
        fits = self._count < _MAX_CALLS and self._size + size <= _MAX_BYTES
        return not self._count or (fits and self._answers.isdisjoint(inputs))

    def add(self, size: int, answers: frozenset[Hashable]) -> None:
        """Takes another call, which should answer this."""
        self._count += 1
        self._size += size
        self._answers |= answers
