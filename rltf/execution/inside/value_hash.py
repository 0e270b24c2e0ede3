"""A value as 64 bits, equal for values that a test would take for the same: how traces compare two programs.

Numbers are alike whatever their type, floats by nine digits, lists and tuples alike, dicts and sets in any order. Only
exact builtin types are looked into, so that no code of the program runs; what else there is has no hash. Of a value
with more than `NODES` parts the first ones count and the lengths of the rest.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from hashlib import blake2b
from typing import Any

NODES = 256
"""Parts of a value that are looked at."""
_DEPTH = 40
"""Containers within containers that are looked into."""
_TEXT = 1024
"""Characters of a text, and bits of a number, beyond which its ends and its length count."""
_MASK = (1 << 64) - 1
_UNKNOWN = b"?"
_blake2b, _from_bytes, _type, _len, _repr, _int = blake2b, int.from_bytes, type, len, repr, int
CONTAINERS = frozenset({list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict})
"""Types of values that a call may change."""


def value_hash(value: Any) -> tuple[int, int]:
    """(hash of a value, parts that were looked at); hash 0: the value has none.

    >>> value_hash([1, (2.0, True)]) == value_hash((1, [2, 1])), value_hash(object())
    (True, (0, 1))
    """
    budget = [NODES]
    encoded = _encoded(value, budget, _DEPTH)
    if encoded == _UNKNOWN:
        return 0, 1
    return digest(encoded), NODES - budget[0]


def digest(content: bytes) -> int:
    """64 bits of a content, never 0."""
    return _from_bytes(_blake2b(content, digest_size=8).digest(), "little") or 1


def _encoded(value: Any, budget: list[int], depth: int) -> bytes:
    budget[0] -= 1
    encode = _ENCODE.get(_type(value))
    return _UNKNOWN if encode is None else encode(value, budget, depth)


def _number(value: Any, budget: list[int], depth: int) -> bytes:
    if value.bit_length() <= _TEXT:
        return b"i%x;" % value
    length = value.bit_length()
    return b"I%d,%d,%d;" % (length, value >> (length - 64), value & _MASK)


def _real(value: float, budget: list[int], depth: int) -> bytes:
    if -1e15 < value < 1e15 and value == (integer := _int(value)):
        return b"i%x;" % integer
    return b"f%.9g;" % value


def _complex(value: complex, budget: list[int], depth: int) -> bytes:
    return b"c" + _real(value.real, budget, depth) + _real(value.imag, budget, depth)


def _text(value: str, budget: list[int], depth: int) -> bytes:
    return b"s" + _bytes(value.encode("utf-8", "surrogatepass"), budget, depth)


def _bytes(value: Any, budget: list[int], depth: int) -> bytes:
    length = _len(value)
    content = value if length <= _TEXT else value[: _TEXT // 2] + value[-_TEXT // 2 :]
    return b"b%d:%b" % (length, content)


def _printed(value: Any, budget: list[int], depth: int) -> bytes:
    return b"r" + _repr(value).encode()[:_TEXT]


def _sequence(value: Any, budget: list[int], depth: int) -> bytes:
    parts = [b"[%d:" % _len(value)]
    for item in value:
        if budget[0] <= 0 or not depth:
            break
        parts.append(_encoded(item, budget, depth - 1))
    return b"".join(parts)


def _set(value: Any, budget: list[int], depth: int) -> bytes:
    if _len(value) > budget[0] or not depth:  # which of them come first is chance
        return b"{%d:" % _len(value)
    return b"{%d:" % _len(value) + b"".join(sorted([_encoded(item, budget, depth - 1) for item in value]))


def _dict(value: Any, budget: list[int], depth: int) -> bytes:
    if 2 * _len(value) > budget[0] or not depth:
        return b"d%d:" % _len(value)
    rows = [_encoded(k, budget, depth - 1) + _encoded(v, budget, depth - 1) for k, v in value.items()]
    return b"d%d:" % _len(value) + b"".join(sorted(rows))


_ENCODE: dict[type, Callable[[Any, list[int], int], bytes]] = {
    type(None): lambda value, budget, depth: b"n",
    bool: _number,
    int: _number,
    float: _real,
    complex: _complex,
    str: _text,
    bytes: _bytes,
    bytearray: _bytes,
    range: _printed,
    Decimal: _printed,
    Fraction: _printed,
    list: _sequence,
    tuple: _sequence,
    deque: _sequence,
    set: _set,
    frozenset: _set,
    dict: _dict,
    Counter: _dict,
    OrderedDict: _dict,
    defaultdict: _dict,
}
"""Exact type of a value -> its content."""
