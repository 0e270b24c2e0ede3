"""Objects of the test that it lends to the program: functions, iterators, objects of its own classes.

Calling one asks the judge, in the middle of the judge's own request, to do it there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from rltf.execution.values.bounds import ERRORS
from rltf.execution.values.codec import Decoder, decode

CallBack = Callable[[int, str, list[Any], dict[str, Any]], Any]
"""Has the judge do an operation on an object of its own: number, operation, operands, named operands."""


def lent_function(call_back: CallBack, number: int, name: str, is_coroutine: bool) -> Callable[..., Any]:
    """A function that stands for the judge's."""

    def function(*args: Any, **names: Any) -> Any:
        return call_back(number, "call", [*args], names)

    async def coroutine(*args: Any, **names: Any) -> Any:
        return call_back(number, "call", [*args], names)

    stand_in: Any = coroutine if is_coroutine else function
    stand_in.__name__ = stand_in.__qualname__ = name
    return stand_in


class LentIterator:
    """An iterator that stands for the judge's."""

    def __init__(self, call_back: CallBack, number: int) -> None:
        self._call_back, self._number = call_back, number

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        items = self._call_back(self._number, "next", [], {})
        if not items:
            raise StopIteration
        return items[0]


class LentObject:
    """An object that stands for the judge's."""

    def __init__(self, call_back: CallBack, number: int) -> None:
        object.__setattr__(self, "_do", lambda operation, *operands: call_back(number, operation, [*operands], {}))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._do("get", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._do("set", name, value)

    def __call__(self, *args: Any, **names: Any) -> Any:
        """What calling the judge's object returns."""
        return self._do("get", "__call__")(*args, **names)


def _forward(operation: str) -> Callable[..., Any]:
    def method(self: LentObject, *operands: Any) -> Any:
        return self._do(operation, *operands)

    return method


def _leave(self: LentObject, kind: Any, error: Any, trace: Any) -> Any:
    return self._do("leave", error)


SPECIAL_METHODS = {
    "__iter__": "iterate",
    "__next__": "one",
    "__len__": "length",
    "__bool__": "true",
    "__getitem__": "item",
    "__setitem__": "put",
    "__contains__": "contains",
    "__str__": "text",
    "__repr__": "repr",
    "__eq__": "equal",
    "__lt__": "lt",
    "__add__": "add",
    "__sub__": "sub",
    "__mul__": "mul",
    "__enter__": "enter",
    "__exit__": "leave",
}
"""Special method -> operation."""


def lent_object(call_back: CallBack, number: int, name: str, methods: list[str]) -> Any:
    """An object of a class of this name, with these special methods of `SPECIAL_METHODS`."""
    body: dict[str, Any] = {method: _forward(SPECIAL_METHODS[method]) for method in methods}
    if "__exit__" in body:
        body["__exit__"] = _leave
    if "__eq__" in body:
        body["__hash__"] = None
    return type(name, (LentObject,), body)(call_back, number)


class LentObjects:
    """What stands here for the judge's objects, by their numbers there.

    Args:
        call_back: has the judge do an operation on one.
    """

    def __init__(self, call_back: CallBack) -> None:
        self._call_back = call_back
        self._objects: dict[int, Any] = {}
        self._numbers: dict[int, int] = {}

    def number(self, value: Any) -> int | None:
        """The judge's number of an object; None for the program's own."""
        return self._numbers.get(id(value))

    def object(self, kind: str, number: Any, *about: Any, resolve: Callable[[Any], Any]) -> Any:
        """The object behind a reference."""
        if kind == "library":
            return operator.attrgetter(*about)(import_module(number))
        if number not in self._objects:
            value = self._new(kind, number, *about, resolve=resolve)
            self._objects[number] = value  # kept, so that its id stays its own
            self._numbers[id(value)] = number
        return self._objects[number]

    def _new(self, kind: str, number: int, *about: Any, resolve: Callable[[Any], Any]) -> Any:
        if kind == "function":
            return lent_function(self._call_back, number, *about)
        if kind == "iterator":
            return LentIterator(self._call_back, number)
        if kind == "object":
            return lent_object(self._call_back, number, *about)
        classes, args = about
        values = decode(args, Decoder(resolve))
        for name in classes:
            if name in ERRORS:
                try:
                    return ERRORS[name](*values)
                except TypeError:
                    continue
        return Exception(*values)
