"""Python values as JSON with tags: what judge and child send each other.

Content of builtin and library types only (`rltf.execution.values.library`). No pickle, no eval: what `decode` returns
is made of these types, even of a text that a program wrote, in time and memory that its length bounds. A subclass is
sent by its content as long as it keeps its base's `==` (a list of one's own); one that brings its own `==` cannot be
sent, since the program would decide what it equals.

    >>> loads(dumps({1: (2, {3})}))
    {1: (2, {3})}
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from enum import EnumMeta
from typing import Any

from rltf.execution.values import library
from rltf.execution.values.bounds import CONTAINER, MAX_DEPTH, MAX_NODES, TYPES, CannotSend, deeper
from rltf.execution.values.decoding import Decoder, decode

__all__ = ["CannotSend", "Decoder", "Encoder", "decode", "dumps", "encode", "framed_answer", "loads"]

_ATOMS = frozenset({type(None), bool, float})
_BASES = (bool, int, float, str, tuple, list, dict, set, frozenset, bytes, complex, deque)
_SIZED = frozenset({list, tuple, set, frozenset, dict, deque})
_TYPE_NAMES = {t: name for name, t in TYPES.items()}
_BIG = 1 << 62
_dumps, _loads = json.dumps, json.loads


class Encoder:
    """Encodes the values of one message.

    Args:
        reference: What is sent in the place of an object that has no content of its own; None: such a value is refused.
        rich: Types of the library stay what they are; else each is sent as the builtin that it equals.
        shared: Mutable containers that the receiver has too, in the order of their numbers: only the number is sent.
        number_new: Add every mutable container to `shared` as it is sent.
    """

    __slots__ = ("_ids", "_number_new", "_remaining_nodes", "reference", "rich", "shared")

    def __init__(
        self,
        reference: Callable[[Any], Any] | None = None,
        rich: bool = False,
        shared: list[Any] | None = None,
        number_new: bool = False,
    ) -> None:
        self._remaining_nodes = MAX_NODES
        self.reference = reference
        self.rich = rich
        self.shared = shared
        self._ids = {id(container): number for number, container in enumerate(shared or ())}
        self._number_new = number_new

    def encode(self, value: Any, depth: int = 0) -> Any:
        """`value` as plain JSON values with tags.

        Raises:
            CannotSend: It has neither plain content nor a reference.
        """
        kind = type(value)
        if kind is int:
            return value if -_BIG < value < _BIG else {"int": hex(value)}
        if kind is str:
            return value if value.isascii() else _text(value)
        if kind in _ATOMS:
            return value
        if self.shared is not None and kind in library.MUTABLE:
            number = self._ids.get(id(value))
            if number is not None:
                return {"shared": number}
            if self._number_new:
                self._ids[id(value)] = len(self.shared)
                self.shared.append(value)
        return self.content(value, kind, depth + 1)

    def items(self, values: Any, depth: int) -> list[Any]:
        """The elements of a container, each encoded."""
        encode = self.encode
        return [
            v if (kind := type(v)) is float or kind is bool or (kind is int and -_BIG < v < _BIG) else encode(v, depth)
            for v in values
        ]

    def content(self, value: Any, kind: type, depth: int = 1) -> Any:
        """The content of a value that is no atom, whether the receiver has it or not."""
        if depth > MAX_DEPTH:
            raise CannotSend(f"nested deeper than {MAX_DEPTH} levels")
        if kind in _SIZED:
            self._remaining_nodes -= len(value) + CONTAINER
            if self._remaining_nodes < 0:
                raise CannotSend(f"more than {MAX_NODES} elements")
        if kind is list:
            return self.items(value, depth)
        if kind is dict:
            return {"dict": self.items([part for item in value.items() for part in item], depth)}
        if kind in (tuple, set, frozenset):
            return {kind.__name__: self.items(value, depth)}
        if kind is bytes or kind is bytearray:
            return {kind.__name__: value.hex()}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind is deque:
            return {"deque": [self.items(value, depth), value.maxlen]}
        if kind is range or kind is slice:
            return {kind.__name__: [self.encode(v, depth) for v in (value.start, value.stop, value.step)]}
        if value is Ellipsis:
            return {"ellipsis": 1}
        if kind is type and value in _TYPE_NAMES:
            return {"type": _TYPE_NAMES[value]}
        return self._other(value, kind, depth)

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        """The content of a value of a library's or the program's own class, or a reference to it."""
        if (encoded := library.encode(value, kind, depth, self)) is not None:
            return encoded
        if self.rich and self.reference is not None and isinstance(kind, EnumMeta):
            return self.reference(value)
        for base in _BASES:
            if base in kind.__mro__ and kind.__eq__ is base.__eq__:
                return self.encode(_content(base, value), depth)
        if self.reference is not None:
            return self.reference(value)
        raise CannotSend(f"a value of type {kind.__name__} cannot be sent")


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:  # JSON makes one character of two surrogates
        return {"str": value.encode("utf-8", "surrogatepass").hex()}
    return value


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


def encode(value: Any, encoder: Encoder | None = None) -> Any:
    """`value` as plain JSON values with tags.

    Args:
        value: Any object.
        encoder: That of the message; None: one that refuses objects without content.

    Raises:
        CannotSend: It has neither plain content nor a reference.
    """
    if type(value) in _ATOMS:
        return value
    encoder = encoder or Encoder()
    try:
        try:
            return encoder.encode(value)
        except RecursionError:
            with deeper():
                return encoder.encode(value)
    except CannotSend:
        raise
    except Exception as e:  # the program's own methods, e.g. of a metaclass
        raise CannotSend(f"a value of type {type(value).__name__} cannot be sent ({type(e).__name__})") from None


def dumps(value: Any) -> bytes:
    """The JSON text of an encoded value."""
    return _dumps(encode(value), separators=(",", ":")).encode()


def framed_answer(number: int, encoded: Any) -> bytes:
    """The answer to a request, to the byte as a program's process sends it for an encoded value.

    >>> framed_answer(1, [2])
    b'\\x00\\x00\\x00\\x13{"n":1,"value":[2]}'
    """
    body = _dumps({"n": number, "value": encoded}, separators=(",", ":")).encode()
    return len(body).to_bytes(4, "big") + body


def loads(text: bytes | str) -> Any:
    """The value whose JSON text `dumps` returned."""
    return decode(_loads(text))
