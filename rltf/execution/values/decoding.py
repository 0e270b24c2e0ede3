"""The receiving end of the codec: values out of what may be any JSON, in bounded time and memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rltf.execution.values import library
from rltf.execution.values.bounds import CONTAINER, MAX_DEPTH, MAX_NODES, TYPES, deeper, integer, text

_MAX_EQUAL_HASHES = 100
"""Elements of a set, or keys of a dict, with the same hash: a hundred thousand of them would take minutes."""
_PLAIN = frozenset({type(None), bool, int, float, str})


class Decoder:
    """Decodes the values of one message.

    Args:
        resolve: Turns references back into objects; None: a reference is malformed.
        shared: Mutable containers in the order of their numbers.
        number_new: Add every mutable container to `shared` as it is made.
    """

    __slots__ = ("_number_new", "_remaining_nodes", "resolve", "shared")

    def __init__(
        self,
        resolve: Callable[[Any], Any] | None = None,
        shared: list[Any] | None = None,
        number_new: bool = False,
    ) -> None:
        self._remaining_nodes = MAX_NODES
        self.resolve = resolve
        self.shared: list[Any] = [] if shared is None else shared
        self._number_new = number_new

    def decode(self, encoded: Any, depth: int = 0) -> Any:
        """The value that `Encoder.encode` was given.

        Raises:
            ValueError: It does not return this.
        """
        kind = type(encoded)
        if kind is list:
            if self._number_new:
                self.shared.append(container := [])
                container += self.items(encoded, depth)
                return container
            return self.items(encoded, depth)
        if kind is not dict:
            if kind not in _PLAIN:
                raise ValueError(f"no value of type {kind.__name__} is sent")
            return encoded
        if len(encoded) != 1:
            raise ValueError(f"a tagged value has one tag, found {len(encoded)}")
        ((tag, body),) = encoded.items()
        make = _MAKE.get(tag) or library.MAKE.get(tag)
        if make is None:
            raise ValueError(f"unknown tag {tag!r:.50}")
        return make(self, body, depth)

    def items(self, encoded: Any, depth: int) -> list[Any]:
        """The elements of a container, decoded."""
        if type(encoded) is not list:
            raise ValueError(f"elements are a list, found {type(encoded).__name__}")
        if depth >= MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        self._remaining_nodes -= len(encoded) + CONTAINER
        if self._remaining_nodes < 0:
            raise ValueError(f"more than {MAX_NODES} elements")
        decode, depth = self.decode, depth + 1
        return [v if type(v) in _PLAIN else decode(v, depth) for v in encoded]

    def number(self, container: Any) -> Any:
        """A new mutable container, which has its number from now on."""
        if self._number_new:
            self.shared.append(container)
        return container

    def keys_and_values(self, encoded: Any, depth: int) -> zip[tuple[Any, Any]]:
        """The items of a dict, whose keys are known to be cheap to insert."""
        flat = self.items(encoded, depth)
        if len(flat) % 2:
            raise ValueError("a key without a value")
        return zip(spread(flat[::2]), flat[1::2], strict=True)


def spread(elements: list[Any]) -> list[Any]:
    """`elements`, unless so many of them have the same hash that a set of them takes quadratic time.

    Raises:
        ValueError: They have.
    """
    if len(elements) > _MAX_EQUAL_HASHES:
        hashes = list(map(hash, elements))
        if len(hashes) - len(set(hashes)) >= _MAX_EQUAL_HASHES:
            counts: dict[int, int] = {}
            for number in hashes:
                counts[number] = counts.get(number, 0) + 1
            if max(counts.values()) > _MAX_EQUAL_HASHES:
                raise ValueError("too many elements with the same hash")
    return elements


def decode(encoded: Any, decoder: Decoder | None = None) -> Any:
    """The value that `encode` was given.

    Args:
        encoded: What `encode` returned, or anything else of JSON.
        decoder: That of the message; None: one that knows no references.

    Raises:
        ValueError: `encode` does not return this.
    """
    if type(encoded) in _PLAIN:
        return encoded
    decoder = decoder or Decoder()
    count = len(decoder.shared)
    try:
        try:
            return decoder.decode(encoded)
        except RecursionError:
            del decoder.shared[count:]
            with deeper():
                return decoder.decode(encoded)
    except ValueError:
        raise
    except (TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, MemoryError) as e:
        raise ValueError(f"malformed: {type(e).__name__}: {e}"[:200]) from None


def _real(number: Any) -> float:
    if type(number) not in (int, float):
        raise ValueError(f"expected a number, found {type(number).__name__}")
    return float(number)


def _dict(decoder: Decoder, body: Any, depth: int) -> dict[Any, Any]:
    mapping: dict[Any, Any] = decoder.number({})
    mapping.update(decoder.keys_and_values(body, depth))
    return mapping


def _set(decoder: Decoder, body: Any, depth: int) -> set[Any]:
    elements: set[Any] = decoder.number(set())
    elements.update(spread(decoder.items(body, depth)))
    return elements


def _deque(decoder: Decoder, body: Any, depth: int) -> deque[Any]:
    items, length = body
    queue: deque[Any] = decoder.number(deque(maxlen=None if length is None else integer(length)))
    queue.extend(decoder.items(items, depth))
    return queue


def _shared(decoder: Decoder, body: Any, depth: int) -> Any:
    if type(body) is not int or not 0 <= body < len(decoder.shared):
        raise ValueError("a container that is not shared")
    return decoder.shared[body]


def _reference(decoder: Decoder, body: Any, depth: int) -> Any:
    if decoder.resolve is None:
        raise ValueError("a reference among plain values")
    return decoder.resolve(body)


_MAKE: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "int": lambda d, b, n: int(text(b), 16),
    "str": lambda d, b, n: bytes.fromhex(text(b)).decode("utf-8", "surrogatepass"),
    "dict": _dict,
    "tuple": lambda d, b, n: tuple(d.items(b, n)),
    "set": _set,
    "frozenset": lambda d, b, n: frozenset(spread(d.items(b, n))),
    "bytes": lambda d, b, n: bytes.fromhex(text(b)),
    "bytearray": lambda d, b, n: d.number(bytearray.fromhex(text(b))),
    "complex": lambda d, b, n: complex(*map(_real, b)),
    "deque": _deque,
    "range": lambda d, b, n: range(*map(integer, d.items(b, n))),
    "slice": lambda d, b, n: slice(*d.items(b, n)),
    "ellipsis": lambda d, b, n: ...,
    "type": lambda d, b, n: TYPES[text(b)],
    "shared": _shared,
    "ref": _reference,
}
