"""Python values as JSON with tags: what may cross the border of the sandbox.

Content of builtin types only. No pickle, no eval: what comes out of `decode` is made of the types below, whoever wrote
the text. A subclass is sent by its content as long as it keeps its base's `==` (`IntEnum`, a named tuple); one
that brings its own `==` cannot be sent, since what it equals would be the program's word.

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
    """The value cannot cross the border; the text says why."""


class _Encoder:
    def __init__(self, reference: Callable[[Any], Any] | None) -> None:
        self.left = MAX_NODES
        self.reference = reference

    def many(self, values: Any, depth: int) -> list[Any]:
        return [v if type(v) in (str, float, bool) else self.one(v, depth) for v in values]

    def one(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is int:
            return value if -_BIG < value < _BIG else {"int": hex(value)}
        if kind in _PLAIN:
            return value
        depth += 1
        if depth > MAX_DEPTH:
            raise CannotSend(f"nested deeper than {MAX_DEPTH} levels")
        if kind in (list, tuple, set, frozenset, dict, deque):
            self.left -= len(value) + 16
            if self.left < 0:
                raise CannotSend(f"more than {MAX_NODES} elements")
        if kind is list:
            return self.many(value, depth)
        if kind is dict:
            return {"dict": [[self.one(k, depth), self.one(v, depth)] for k, v in value.items()]}
        if kind in (tuple, set, frozenset):
            return {kind.__name__: self.many(value, depth)}
        if kind is bytes or kind is bytearray:
            return {kind.__name__: value.hex()}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind is deque:
            return {"deque": [self.many(value, depth), value.maxlen]}
        if kind is range:
            return {"range": [self.one(v, depth) for v in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"ellipsis": 1}
        return self.other(value, kind, depth)

    def library(self, value: Any, kind: type, depth: int) -> Any:
        """Types of the standard library, exactly those; None for others."""
        if kind is type and value in _TYPES:
            return {"type": value.__name__}
        if kind is Decimal:
            return {"decimal": Decimal.__str__(value)}
        if kind is Fraction:
            return {"fraction": [self.one(value.numerator, depth), self.one(value.denominator, depth)]}
        if kind in (Counter, OrderedDict, defaultdict):
            return self.one(dict(dict.items(value)), depth)
        if kind in _DATES:
            return {kind.__name__: [getattr(value, part) for part in _DATES[kind]]}
        return None

    def other(self, value: Any, kind: type, depth: int) -> Any:
        if (sent := self.library(value, kind, depth)) is not None:
            return sent
        if (kind.__module__ or "").partition(".")[0] == "numpy" and hasattr(kind, "tolist"):
            return self.one(value.tolist(), depth)
        for base in _BASES:
            if base in kind.__mro__ and kind.__eq__ is base.__eq__:
                return self.one(_content(base, value), depth)
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
    """`value` as what `json.dumps` takes.

    Args:
        value: Any object.
        reference: What to send in the place of an object that has no content of its own; None: refuse it.

    Raises:
        CannotSend: There is no honest way to send it.
    """
    if type(value) in _ATOMS:
        return value
    try:
        return _Encoder(reference).one(value, 0)
    except CannotSend:
        raise
    except Exception as e:  # the program's own methods, e.g. of a metaclass
        raise CannotSend(f"a value of type {type(value).__name__} cannot be sent ({type(e).__name__})") from None


def decode(data: Any, resolve: Callable[[Any], Any] | None = None) -> Any:
    """The value that `encode` was given; `resolve` turns references back into objects.

    Raises:
        ValueError: `data` is not something `encode` gives.
    """
    kind = type(data)
    if kind is list:
        return [v if type(v) in _PLAIN else decode(v, resolve) for v in data]
    if kind is not dict:
        return data
    if len(data) != 1:
        raise ValueError(f"a tagged value has one tag, found {len(data)}")
    ((tag, body),) = data.items()
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
    """`encode` as JSON text."""
    return _dumps(encode(value), separators=(",", ":")).encode()


def loads(text: bytes | str) -> Any:
    """The value behind `dumps`."""
    return decode(_loads(text))
