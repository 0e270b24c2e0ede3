"""Values of the standard library and numpy as the codec sends them.

In a `rich` message a type stays what it is: a `Counter` arrives as a `Counter`, a named tuple with its fields. Else it
is sent as the builtin value that it equals, which is all that the comparison of a returned value looks at.
"""

from __future__ import annotations

from array import array
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any, TypeAlias

from rltf.execution.values.arrays import decode_numpy, encode_numpy
from rltf.execution.values.bounds import MAX_DIGITS, CannotSend, integer, text

MUTABLE = frozenset((list, dict, set, bytearray, deque, Counter, OrderedDict, defaultdict, array, StringIO, BytesIO))
"""Types of containers whose identity and changes are kept on the way."""

_VIEWS = {"keys": type({}.keys()), "values": type({}.values()), "items": type({}.items())}
_PATHS = ("PosixPath", "PurePosixPath", "PureWindowsPath")
_PARTS: dict[type, tuple[str, ...]] = {
    date: ("year", "month", "day"),
    datetime: ("year", "month", "day", "hour", "minute", "second", "microsecond", "fold"),
    time: ("hour", "minute", "second", "microsecond", "fold"),
    timedelta: ("days", "seconds", "microseconds"),
}
_MAX_BITS = MAX_DIGITS * 10 // 3
Encoder: TypeAlias = Any
Decoder: TypeAlias = Any
"""Those of `rltf.execution.values.codec` and `decoding`, which build on this."""


def encode(value: Any, kind: type, depth: int, encoder: Encoder) -> Any:
    """The encoding of a value whose type is exactly one of a library's; None for other types.

    Raises:
        CannotSend: It is none that may be sent.
    """
    encode_kind = _ENCODE.get(kind)
    if encode_kind is not None:
        return encode_kind(value, depth, encoder)
    module, name = kind.__module__, kind.__name__
    if module == "uuid" and kind is _imported(module, "UUID"):
        return {"uuid": value.hex}
    if name in _PATHS and kind is _imported("pathlib", name):
        return {"path": [name, str(value)]}
    if module == "numpy" and hasattr(kind, "tolist"):
        return encode_numpy(value, kind, depth, encoder)
    if encoder.rich and tuple in kind.__mro__ and kind.__eq__ is tuple.__eq__ and (names := _fields(kind)) is not None:
        return {"namedtuple": [kind.__name__, names, encoder.items(tuple.__iter__(value), depth)]}
    return None


def _imported(module: str, name: str) -> Any:
    """An attribute of a module that is imported only when it is needed: each costs every fork a little."""
    return getattr(import_module(module), name)


def _fields(kind: type) -> list[str] | None:
    names = getattr(kind, "_fields", None)
    if type(names) is not tuple or any(type(name) is not str for name in names):
        return None
    return list(names)


def _encode_decimal(value: Decimal, depth: int, encoder: Encoder) -> Any:
    if value.is_snan():
        raise CannotSend("a signalling NaN")
    return {"decimal": str(value)}


def _encode_fraction(value: Fraction, depth: int, encoder: Encoder) -> Any:
    parts = value.numerator, value.denominator
    if max(part.bit_length() for part in parts) > _MAX_BITS:
        raise CannotSend(f"a fraction of more than {MAX_DIGITS} digits")
    return {"fraction": encoder.items(parts, depth)}


def _encode_date(value: Any, depth: int, encoder: Encoder) -> Any:
    kind = type(value)
    parts: list[Any] = [getattr(value, part) for part in _PARTS[kind]]
    if kind in (datetime, time) and value.tzinfo is not None:
        offset = value.utcoffset()
        parts.append(None if offset is None else [offset.days, offset.seconds, offset.microseconds, value.tzname()])
    return {kind.__name__: parts}


def _encode_mapping(value: Any, depth: int, encoder: Encoder) -> Any:
    content = encoder.content(dict(dict.items(value)), dict, depth)
    if not encoder.rich:
        return content
    if type(value) is defaultdict:
        return {"defaultdict": [encoder.encode(value.default_factory, depth), content["dict"]]}
    return {type(value).__name__: content["dict"]}


def _encode_array(value: array[Any], depth: int, encoder: Encoder) -> Any:
    return {"array": [value.typecode, encoder.items(value, depth)]}


def _encode_stream(value: Any, depth: int, encoder: Encoder) -> Any:
    content = b"" if value.closed else value.getvalue()
    position = -1 if value.closed else value.tell()
    return {type(value).__name__: [encoder.encode(content, depth), position]}


def _encode_view(value: Any, depth: int, encoder: Encoder) -> Any:
    name = next(name for name, kind in _VIEWS.items() if kind is type(value))
    if name == "items":
        return {name: encoder.items([part for item in value for part in item], depth)}
    return {name: encoder.items(value, depth)}


_ENCODE: dict[type, Callable[[Any, int, Encoder], Any]] = {
    Decimal: _encode_decimal,
    Fraction: _encode_fraction,
    array: _encode_array,
    StringIO: _encode_stream,
    BytesIO: _encode_stream,
    **dict.fromkeys(_PARTS, _encode_date),
    **dict.fromkeys((Counter, OrderedDict, defaultdict), _encode_mapping),
    **dict.fromkeys(_VIEWS.values(), _encode_view),
}


def _decimal(decoder: Decoder, body: Any, depth: int) -> Decimal:
    value = Decimal(text(body))
    if value.is_snan():
        raise ValueError("a signalling NaN")
    return value


def _fraction(decoder: Decoder, body: Any, depth: int) -> Fraction:
    numerator, denominator = map(integer, decoder.items(body, depth))
    if max(numerator.bit_length(), denominator.bit_length()) > _MAX_BITS:
        raise ValueError(f"a fraction of more than {MAX_DIGITS} digits")
    return Fraction(numerator, denominator)


def _date(kind: Any) -> Callable[[Decoder, Any, int], Any]:
    has_fold = kind in (datetime, time)
    count = len(_PARTS[kind])

    def make(decoder: Decoder, body: Any, depth: int) -> Any:
        if type(body) is not list or not count <= len(body) <= count + has_fold:
            raise ValueError("a date of other parts")
        parts = list(map(integer, body[:count]))
        if not has_fold:
            return kind(*parts)
        zone = _zone(body[count]) if len(body) > count else None
        return kind(*parts[:-1], tzinfo=zone, fold=parts[-1])

    return make


def _zone(body: Any) -> timezone | None:
    if body is None:
        return None
    days, seconds, microseconds, name = body
    offset = timedelta(integer(days), integer(seconds), integer(microseconds))
    if not offset and name == "UTC":
        return UTC
    zone = timezone(offset)
    return zone if name is None or name == zone.tzname(None) else timezone(offset, text(name))


def _mapping(kind: Any) -> Callable[[Decoder, Any, int], Any]:
    def make(decoder: Decoder, body: Any, depth: int) -> Any:
        mapping = decoder.number(kind())
        for key, value in decoder.keys_and_values(body, depth):
            mapping[key] = value
        return mapping

    return make


def _defaultdict(decoder: Decoder, body: Any, depth: int) -> defaultdict[Any, Any]:
    factory, items = body
    mapping: defaultdict[Any, Any] = decoder.number(defaultdict())
    mapping.default_factory = decoder.decode(factory, depth)
    mapping.update(decoder.keys_and_values(items, depth))
    return mapping


def _array(decoder: Decoder, body: Any, depth: int) -> array[Any]:
    code, items = body
    values: array[Any] = decoder.number(array(text(code)))
    values.extend(decoder.items(items, depth))
    return values


def _stream(kind: Any) -> Callable[[Decoder, Any, int], Any]:
    content_type: Any = str if kind is StringIO else bytes

    def make(decoder: Decoder, body: Any, depth: int) -> Any:
        content, position = decoder.items(body, depth)
        if type(content) is not content_type:
            content = content_type()
        stream = decoder.number(StringIO(content, newline="") if kind is StringIO else BytesIO(content))
        if integer(position) < 0:
            stream.close()
        else:
            stream.seek(position)
        return stream

    return make


def _values(decoder: Decoder, body: Any, depth: int) -> Any:
    return dict(enumerate(decoder.items(body, depth))).values()


def _namedtuple(decoder: Decoder, body: Any, depth: int) -> Any:
    name, names, items = body
    value = named_tuple_class(text(name), tuple(map(text, names)))(*decoder.items(items, depth))
    if any(callable(getattr(value, hidden)) for hidden in {"count", "index"}.intersection(names)):
        raise ValueError("a field that would pass for a method")
    return value


@lru_cache(maxsize=64)
def named_tuple_class(name: str, fields: tuple[str, ...]) -> Any:
    """The class of named tuples with this name and these fields.

    Raises:
        ValueError: There can be none.
    """
    if len(fields) > 255 or sum(map(len, (name, *fields))) > 10_000:
        raise ValueError("too many fields")
    return namedtuple(name, fields)


def _path(decoder: Decoder, body: Any, depth: int) -> Any:
    name, path = body
    if name not in _PATHS:
        raise ValueError("no path")
    return _imported("pathlib", name)(text(path))


MAKE: dict[str, Callable[[Decoder, Any, int], Any]] = {
    "decimal": _decimal,
    "fraction": _fraction,
    **{kind.__name__: _date(kind) for kind in _PARTS},
    "Counter": _mapping(Counter),
    "OrderedDict": _mapping(OrderedDict),
    "defaultdict": _defaultdict,
    "array": _array,
    "StringIO": _stream(StringIO),
    "BytesIO": _stream(BytesIO),
    "keys": lambda d, b, n: dict(d.keys_and_values([p for k in _list(b) for p in (k, None)], n)).keys(),
    "values": _values,
    "items": lambda d, b, n: dict(d.keys_and_values(b, n)).items(),
    "namedtuple": _namedtuple,
    "ndarray": decode_numpy,
    "uuid": lambda d, b, n: _imported("uuid", "UUID")(text(b)),
    "path": _path,
}
"""Tag -> what makes the value of its content."""


def _list(body: Any) -> list[Any]:
    if type(body) is not list:
        raise ValueError(f"expected a list, found {type(body).__name__}")
    return body
