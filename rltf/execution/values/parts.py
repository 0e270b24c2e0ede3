"""What a value consists of, to see whether the input of one call would be the answer to another."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from rltf.execution.values.bounds import deeper

_UNORDERED = ("set", "frozenset")
_SEQUENCES = ("tuple", "deque")


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


def may_go_together(inputs: Iterable[frozenset[Hashable]], answers: Iterable[frozenset[Hashable]]) -> bool:
    """True where no input of a later call is, or holds, what an earlier one should answer, or a part of that.

    >>> one, two = frozenset({1}), frozenset({2})
    >>> may_go_together([one, two], [one, one]), may_go_together([one, two], [two, one])
    (True, False)
    """
    expected: set[Hashable] = set()
    for given, answer in zip(inputs, answers, strict=True):
        if not expected.isdisjoint(given):
            return False
        expected |= answer
    return True
