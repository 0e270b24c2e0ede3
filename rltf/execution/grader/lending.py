"""What test text lends to the program: functions, iterators, exceptions and objects of its own.

The program's process has a number for each and can do with it what is in `_OPERATIONS`: call it, ask for the next item,
read public attributes. Functions and classes of the library are not lent: the program has them itself.
"""

from __future__ import annotations

import functools
import inspect
import operator
import sys
import types
from collections.abc import Callable
from typing import Any, Protocol

from rltf.execution.inside.lent import SPECIAL_METHODS
from rltf.execution.values.codec import Encoder

_FUNCTIONS = (
    *(types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType, functools.partial),
    *(types.MethodDescriptorType, type, functools._lru_cache_wrapper),
)
_NEVER_LENT = (types.ModuleType, types.CoroutineType, types.FrameType, types.CodeType, types.TracebackType)
_MAX_AWAITED = 100_000


class GivesUp(Protocol):
    """What can make a test unjudgeable."""

    def give_up(self, reason: str) -> Any:
        """Makes the present test unjudgeable."""


class Loans:
    """Objects of test text that the program has been told of, by number.

    Args:
        link: to the program.
    """

    def __init__(self, link: GivesUp) -> None:
        self._link = link
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._open: set[int] = set()
        """Numbers of objects whose public attributes may be asked for."""

    def find(self, number: Any) -> Any:
        """The object of a number.

        Raises:
            ValueError: There is none.
        """
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise ValueError("nothing was lent by that number")
        return self._objects[number]

    def reference(self, value: Any, reference: Callable[[Any], Any]) -> list[Any]:
        """What is sent for an object of the test."""
        if (place := _library_name(value)) is not None:
            return ["library", *place]
        kind = type(value)
        if isinstance(value, _NEVER_LENT):
            self._link.give_up(f"the test passes a {kind.__name__}, which cannot leave its process")
        if isinstance(value, BaseException):
            return self._error(value, Encoder(reference, True))
        number = self._number(value)
        if isinstance(value, _FUNCTIONS):
            name = str(getattr(value, "__name__", kind.__name__))
            return ["function", number, name, inspect.iscoroutinefunction(value)]
        if hasattr(kind, "__next__"):
            return ["iterator", number]
        self._open.add(number)
        methods = [name for name in SPECIAL_METHODS if getattr(kind, name, None) is not getattr(object, name, None)]
        return ["object", number, kind.__name__, [name for name in methods if getattr(kind, name, None) is not None]]

    def do(self, number: Any, operation: Any, operands: list[Any], names: dict[str, Any]) -> Any:
        """The value of an operation of the program on an object."""
        value = self.find(number)
        if operation == "call":
            result = value(*operands, **names)
            return self._awaited(result) if inspect.iscoroutine(result) else result
        if operation == "next":
            try:
                return [next(value)]
            except StopIteration:
                return []
        if number not in self._open or names:
            raise TypeError("the program can only call this")
        if operation in ("get", "set"):
            name = operands[0]
            if type(name) is not str or (name.startswith("_") and name != "__call__"):
                raise AttributeError(f"{name!r:.50} is the test's own")
        return _OPERATIONS[operation](value, *operands)

    def _number(self, value: Any) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return number

    def _error(self, error: BaseException, encoder: Encoder) -> list[Any]:
        classes = [cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins"]
        return ["exception", self._number(error), classes, encoder.items(error.args, 0)]

    def _awaited(self, coroutine: Any) -> Any:
        """The value of a coroutine of the test that the program awaits."""
        for _ in range(_MAX_AWAITED):
            try:
                awaited = coroutine.send(None)
            except StopIteration as e:
                return e.value
            if awaited is not None:
                break
        return self._link.give_up("a coroutine of the test, which the program awaits, waits for something itself")


def _library_name(value: Any) -> tuple[str, str] | None:
    """Module and name by which the program finds a function or class of the standard library; None for others."""
    owner = getattr(value, "__objclass__", value)
    module, name = getattr(owner, "__module__", None), getattr(value, "__qualname__", None)
    if type(module) is not str or type(name) is not str or module == "test":
        return None
    top = module.partition(".")[0]
    if (top not in sys.stdlib_module_names and top != "numpy") or module not in sys.modules:
        return None
    try:
        return (module, name) if operator.attrgetter(name)(sys.modules[module]) is value else None
    except AttributeError:
        return None


def _leave(value: Any, error: Any) -> Any:
    return value.__exit__(None if error is None else type(error), error, None)


_OPERATIONS: dict[Any, Callable[..., Any]] = {
    "get": getattr,
    "set": setattr,
    "iterate": iter,
    "one": next,
    "length": len,
    "true": bool,
    "item": operator.getitem,
    "put": operator.setitem,
    "contains": operator.contains,
    "text": str,
    "repr": repr,
    "equal": operator.eq,
    "lt": operator.lt,
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "enter": lambda value: value.__enter__(),
    "leave": _leave,
}
"""Operation -> function of the object and the operands."""
