"""Python values as JSON with tags: what judge and child send each other.

Content of builtin types only. No pickle, no eval: what `decode` returns is made of the types below, even of a text
that a program wrote. A subclass is sent by its content as long as it keeps its base's `==` (`IntEnum`, a named tuple);
one that brings its own `==` cannot be sent, since the program would decide what it equals.

    >>> loads(dumps({1: (2, {3})}))
    {1: (2, {3})}
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_DEPTH = 150
"""Nesting levels; also what stops a list that holds itself."""
MAX_NODES = 2_000_000
"""Elements of one value; a container costs as much as 16."""

_PLAIN = frozenset({type(None), bool, int, float, str})
_ATOMS = frozenset({type(None), bool, float, str})
_BASES = (bool, int, float, str, tuple, list, dict, set, frozenset, bytes, complex, deque)
_TYPES = (int, float, bool, str, list, tuple, dict, set, frozenset, bytes, complex, type(None), object)
_DATES: dict[type, tuple[str, ...]] = {
    date: ("year", "month", "day"),
    datetime: ("year", "month", "day", "hour", "minute", "second", "microsecond"),
    time: ("hour", "minute", "second", "microsecond"),
    timedelta: ("days", "seconds", "microseconds"),
}
_BIG = 1 << 62
_dumps, _loads = json.dumps, json.loads


class CannotSend(Exception):
    """A value cannot be sent; the text says why."""


class _Encoder:
    def __init__(self, reference: Callable[[Any], Any] | None) -> None:
        self.remaining_nodes = MAX_NODES
        self.reference = reference

    def encode_all(self, values: Any, depth: int) -> list[Any]:
        return [v if type(v) in (str, float, bool) else self.encode(v, depth) for v in values]

    def encode(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is int:
            return value if -_BIG < value < _BIG else {"int": hex(value)}
        if kind in _PLAIN:
            return value
        depth += 1
        if depth > MAX_DEPTH:
            raise CannotSend(f"nested deeper than {MAX_DEPTH} levels")
        if kind in (list, tuple, set, frozenset, dict, deque):
            self.remaining_nodes -= len(value) + 16
            if self.remaining_nodes < 0:
                raise CannotSend(f"more than {MAX_NODES} elements")
        if kind is list:
            return self.encode_all(value, depth)
        if kind is dict:
            return {"dict": [[self.encode(k, depth), self.encode(v, depth)] for k, v in value.items()]}
        if kind in (tuple, set, frozenset):
            return {kind.__name__: self.encode_all(value, depth)}
        if kind is bytes or kind is bytearray:
            return {kind.__name__: value.hex()}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind is deque:
            return {"deque": [self.encode_all(value, depth), value.maxlen]}
        if kind is range:
            return {"range": [self.encode(v, depth) for v in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"ellipsis": 1}
        return self.encode_other(value, kind, depth)

    def encode_standard_type(self, value: Any, kind: type, depth: int) -> Any:
        """The encoding of a value whose type is exactly one of the standard library's; None for other types."""
        if kind is type and value in _TYPES:
            return {"type": value.__name__}
        if kind is Decimal:
            return {"decimal": Decimal.__str__(value)}
        if kind is Fraction:
            return {"fraction": [self.encode(value.numerator, depth), self.encode(value.denominator, depth)]}
        if kind in (Counter, OrderedDict, defaultdict):
            return self.encode(dict(dict.items(value)), depth)
        if kind in _DATES:
            return {kind.__name__: [getattr(value, part) for part in _DATES[kind]]}
        return None

    def encode_other(self, value: Any, kind: type, depth: int) -> Any:
        if (encoded := self.encode_standard_type(value, kind, depth)) is not None:
            return encoded
        if (kind.__module__ or "").partition(".")[0] == "numpy" and hasattr(kind, "tolist"):
            return self.encode(value.tolist(), depth)
        for base in _BASES:
            if base in kind.__mro__ and kind.__eq__ is base.__eq__:
                return self.encode(_content(base, value), depth)
        if self.reference is not None:
            return self.reference(value)
        raise CannotSend(f"a value of type {kind.__name__} cannot be sent")


def _content(base: type, value: Any) -> Any:
    """`value` as the plain builtin, read by the builtin's own methods and not by those of the subclass."""
    if base in (int, float, str):
        return {int: int.__int__, float: float.__float__, str: str.__str__}[base](value)
    if base is complex:
        return complex.__add__(value, 0)
    if base is dict:
        return dict(dict.items(value))
    if base is bytes:
        return bytes.__getitem__(value, slice(None))
    return base(base.__iter__(value))  # type: ignore[attr-defined]


def encode(value: Any, reference: Callable[[Any], Any] | None = None) -> Any:
    """`value` as plain JSON values with tags.

    Args:
        value: Any object.
        reference: What is sent in the place of an object that has no content of its own; None: such a value is refused.

    Raises:
        CannotSend: It has neither plain content nor a reference.
    """
    if type(value) in _ATOMS:
        return value
    try:
        return _Encoder(reference).encode(value, 0)
    except CannotSend:
        raise
    except Exception as e:  # the program's own methods, e.g. of a metaclass
        raise CannotSend(f"a value of type {type(value).__name__} cannot be sent ({type(e).__name__})") from None


def decode(encoded: Any, resolve: Callable[[Any], Any] | None = None) -> Any:
    """The value that `encode` was given; `resolve` turns references back into objects.

    Raises:
        ValueError: `encode` does not return this.
    """
    kind = type(encoded)
    if kind is list:
        return [v if type(v) in _PLAIN else decode(v, resolve) for v in encoded]
    if kind is not dict:
        return encoded
    if len(encoded) != 1:
        raise ValueError(f"a tagged value has one tag, found {len(encoded)}")
    ((tag, body),) = encoded.items()
    if tag == "ref" and resolve is not None:
        return resolve(body)
    make = _MAKE.get(tag)
    if make is None:
        raise ValueError(f"unknown tag {tag!r}")
    try:
        return make(body, resolve)
    except (TypeError, AttributeError, KeyError, IndexError, ArithmeticError) as e:
        raise ValueError(f"malformed {tag}: {e}") from None


def _unpair(body: Any, resolve: Any) -> dict[Any, Any]:
    return {decode(k, resolve): decode(v, resolve) for k, v in body}


_MAKE: dict[str, Callable[[Any, Any], Any]] = {
    "int": lambda b, r: int(b, 16),
    "dict": _unpair,
    "tuple": lambda b, r: tuple(decode(b, r)),
    "set": lambda b, r: set(decode(b, r)),
    "frozenset": lambda b, r: frozenset(decode(b, r)),
    "bytes": lambda b, r: bytes.fromhex(b),
    "bytearray": lambda b, r: bytearray.fromhex(b),
    "complex": lambda b, r: complex(*b),
    "deque": lambda b, r: deque(decode(b[0], r), b[1]),
    "range": lambda b, r: range(*(decode(v, r) for v in b)),
    "ellipsis": lambda b, r: ...,
    "type": lambda b, r: {t.__name__: t for t in _TYPES}[b],
    "decimal": lambda b, r: Decimal(b),
    "fraction": lambda b, r: Fraction(decode(b[0], r), decode(b[1], r)),
    "date": lambda b, r: date(*b),
    "datetime": lambda b, r: datetime(*b),
    "time": lambda b, r: time(*b),
    "timedelta": lambda b, r: timedelta(*b),
}


def dumps(value: Any) -> bytes:
    """The JSON text of an encoded value."""
    return _dumps(encode(value), separators=(",", ":")).encode()


def loads(text: bytes | str) -> Any:
    """The value whose JSON text `dumps` returned."""
    return decode(_loads(text))
