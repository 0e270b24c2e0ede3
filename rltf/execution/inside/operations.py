"""What test text can do to an object of the program, by name: operators, attributes, iteration."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

MAX_CHUNK = 256
"""Items of an iterator in one answer."""
_BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_", "xor", "lshift", "rshift"),
    *("iadd", "isub", "imul", "itruediv", "ifloordiv", "imod", "ipow", "imatmul", "iand", "ior", "ixor", "ilshift"),
    *("irshift", "lt", "le", "gt", "ge"),
)


class Chunks:
    """Items of the program's iterators, many at once; an exception behind some of them waits for the next request."""

    def __init__(self) -> None:
        self._raised: dict[int, tuple[Any, BaseException]] = {}

    def next(self, iterator: Any, chunk_size: int) -> list[Any]:
        """Whether an iterator is exhausted, and its next items, at most `chunk_size`."""
        if (entry := self._raised.pop(id(iterator), None)) is not None:
            raise entry[1]
        items: list[Any] = []
        try:
            while len(items) < min(chunk_size, MAX_CHUNK):
                try:
                    items.append(next(iterator))
                except StopIteration:
                    return [True, items]
        except BaseException as e:
            if not items:
                raise
            self._raised[id(iterator)] = iterator, e
        return [False, items]


def signature_of(function: Any) -> list[Any]:
    """The parameters of a function as `[name, kind, has default, default, has annotation, annotation]`, and what it
    returns as `[has annotation, annotation]`."""
    signature = inspect.signature(function)
    none = inspect.Parameter.empty
    rows = [
        [
            p.name,
            int(p.kind),
            p.default is not none,
            _or_none(p.default),
            p.annotation is not none,
            _or_none(p.annotation),
        ]
        for p in signature.parameters.values()
    ]
    returned = signature.return_annotation
    return [rows, [returned is not none, _or_none(returned)]]


def _or_none(value: Any) -> Any:
    return None if value is inspect.Parameter.empty else value


def _leave(o: Any, error: BaseException | None) -> Any:
    return type(o).__exit__(o, None if error is None else type(error), error, error and error.__traceback__)


def _subclass(base: Any, name: str, bases: Any, content: dict[str, Any]) -> Any:
    return type(base)(name, tuple(bases), content)


def _has_key(o: Any, key: Any) -> bool:
    return key in o


OPERATIONS: dict[str, Callable[..., Any]] = {
    "global": lambda o: o,
    "get": getattr,
    "get of method": lambda o, method, name: getattr(getattr(o, method), name),
    "set": setattr,
    "delete": delattr,
    "item": operator.getitem,
    "put": operator.setitem,
    "remove": operator.delitem,
    "contains": _has_key,
    "iterate": iter,
    "one": next,
    "reversed": reversed,
    "length": len,
    "true": bool,
    "text": str,
    "repr": repr,
    "format": format,
    "hash": hash,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "bytes": bytes,
    "round": round,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": abs,
    "invert": operator.invert,
    "divmod": divmod,
    "enter": lambda o: type(o).__enter__(o),
    "exit": _leave,
    "signature": signature_of,
    "subclass": _subclass,
    "names": dir,
    "reflected": lambda o, name, operand: OPERATIONS[name](operand, o),
    **{name: getattr(operator, name) for name in _BINARY},
}
"""Operation -> function of the object and the operands."""
