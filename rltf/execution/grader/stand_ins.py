"""Stand-ins, in the grader, for objects that live in the program's process.

Test text runs here, where the program never is. What it does with a stand-in becomes a request to the program's
process, whose answer is a plain value, or another stand-in for an object that has no plain value. What a test compares
by `==` is never the program's word:

* a stand-in and a plain value are unequal, and the program is not asked;
* two stand-ins are equal when they stand for the same object, unequal when their class compares by identity; a class
  that brings its own `==` makes the test unjudgeable;
* order, arithmetic and `in` are the program's word only where the test names the class of the object (`V(1) + V(2)`),
  so that no object in the place of a number learns what it is compared with. Elsewhere they fail, as operators between
  unrelated types do; between two objects of the program they make the test unjudgeable.
"""

from __future__ import annotations

import asyncio.coroutines
import inspect
import types
from collections import deque
from collections.abc import Iterator
from typing import Any, Protocol

from rltf.execution.inside.operations import MAX_CHUNK

_TEXT_PREDICATES = frozenset(n for n in dir(str) if n.startswith("is")) | {"startswith", "endswith"}
"""Methods by which a test asks a text whether it is right."""
_ASKED = frozenset(
    (
        *(
            "__name__",
            "__qualname__",
            "__doc__",
            "__dict__",
            "__annotations__",
            "__module__",
            "__wrapped__",
            "__func__",
        ),
        *("__defaults__", "__kwdefaults__", "__slots__", "__dataclass_fields__", "__match_args__", "__members__"),
        *("__cause__", "__context__"),
    )
)
"""Special attributes that are asked for."""
_LINK, _TARGET = "_rltf_link", "_rltf_target"


class Link(Protocol):
    """The way to the program's objects (`rltf.execution.grader.program_link`)."""

    def request(self, operation: str, target: Any, *operands: Any) -> Any:
        """The value of an operation on an object of the program."""

    def call(self, target: Any, args: Any, names: dict[str, Any]) -> Any:
        """The value of a call of an object of the program."""

    def call_method(self, target: Any, name: str, args: Any, names: dict[str, Any]) -> Any:
        """The value of a call of a method."""

    def is_named(self, cls: type) -> bool:
        """True for a class of the program that tests name, and for those derived from it."""

    def adopt(self, mirror: Any, number: int) -> None:
        """Makes a class that a test derived the mirror of the one with that number."""

    def is_failure(self, error: BaseException | None) -> bool:
        """True for an assertion of the test that failed."""

    def give_up(self, reason: str) -> Any:
        """Makes the present test unjudgeable."""


def link_of(stand_in: Any) -> Link:
    """The way to the object behind a stand-in."""
    link: Link = object.__getattribute__(stand_in, _LINK)
    return link


def target_of(stand_in: Any) -> Any:
    """What a request names the object behind a stand-in by."""
    return object.__getattribute__(stand_in, _TARGET)


def ask(stand_in: Any, operation: str, *operands: Any) -> Any:
    """The value of an operation on the object behind a stand-in."""
    return link_of(stand_in).request(operation, target_of(stand_in), *operands)


def attribute(stand_in: Any, name: str) -> Any:
    """An attribute of the object behind a stand-in.

    Raises:
        AttributeError: It has none of that name that a test may ask for.
    """
    if name.startswith("__") and name.endswith("__") and name not in _ASKED:
        raise AttributeError(name)
    if name in _TEXT_PREDICATES and not link_of(stand_in).is_named(type(stand_in)):
        raise AttributeError(f"an object of the program, where a text is expected, has no {name}")
    return ask(stand_in, "get", name)


def stand_in(cls: Any, link: Link, target: Any) -> Any:
    """A stand-in of a class, whatever calling that class would do."""
    instance = object.__new__(cls)
    object.__setattr__(instance, _LINK, link)
    object.__setattr__(instance, _TARGET, target)
    return instance


class StandIn:
    """An object of the program. The classes of `rltf.execution.grader.program_classes` add what its class can do."""

    __slots__ = (_LINK, _TARGET)

    own_equality = False
    """The class of the object brings its own `==`."""

    def __init__(self, link: Link, target: Any) -> None:
        object.__setattr__(self, _LINK, link)
        object.__setattr__(self, _TARGET, target)

    def __getattr__(self, name: str) -> Any:
        return attribute(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        ask(self, "set", name, value)

    def __delattr__(self, name: str) -> None:
        ask(self, "delete", name)

    def __str__(self) -> str:
        return _text(ask(self, "text"))

    def __repr__(self) -> str:
        return _text(ask(self, "repr"))

    def __format__(self, spec: str) -> str:
        return _text(ask(self, "format", spec))

    def __dir__(self) -> list[str]:
        return list(ask(self, "names"))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, StandIn):
            return False
        if type(self).own_equality or type(other).own_equality:
            link_of(self).give_up(
                "a test compares two objects of the program, which would itself say that they are equal"
            )
        return False

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(ask(self, "hash")) if type(self).own_equality else object.__hash__(self)


def _text(answer: Any) -> str:
    if type(answer) is not str:
        raise TypeError(f"expected text, found {type(answer).__name__}")
    return answer


class RemoteProxy(StandIn):
    """A function of the program, or whatever a global name of it stands for.

    Args:
        link: leads to the process that has it.
        target: its global name there, or its number among those that the process keeps for us.
        flags: flags of its code, where it is a function.
    """

    __slots__ = ("_rltf_flags",)

    def __init__(self, link: Link, target: Any, flags: int = 0) -> None:
        StandIn.__init__(self, link, target)
        object.__setattr__(self, "_rltf_flags", flags)

    def __call__(self, *args: Any, **names: Any) -> Any:
        """What the program's function returns."""
        return link_of(self).call(target_of(self), args, names)

    def __getattr__(self, name: str) -> Any:
        if name == "__signature__":
            return _signature(*ask(self, "signature"))
        if name == "__code__":
            return _NO_CODE.replace(co_flags=object.__getattribute__(self, "_rltf_flags"))
        if name == "_is_coroutine" and object.__getattribute__(self, "_rltf_flags") & inspect.CO_COROUTINE:
            return asyncio.coroutines._is_coroutine  # type: ignore[attr-defined]
        return StandIn.__getattr__(self, name)  # no `super` in a class with a `__class__` of its own

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, ask(self, "global"))

    def __subclasscheck__(self, subclass: Any) -> bool:
        return issubclass(subclass, ask(self, "global"))

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return types.FunctionType if object.__getattribute__(self, "_rltf_flags") else type(self)


_NO_CODE = (lambda: None).__code__


def _signature(rows: Any, returned: Any) -> inspect.Signature:
    none = inspect.Parameter.empty
    parameters = [
        inspect.Parameter(
            name,
            inspect._ParameterKind(kind),
            default=default if has_default else none,
            annotation=annotation if has_annotation else none,
        )
        for name, kind, has_default, default, has_annotation, annotation in rows
    ]
    return inspect.Signature(parameters, return_annotation=returned[1] if returned[0] else none)


class RemoteMethod(StandIn):
    """A method of an object of the program; its target is the object's, and the name."""

    __slots__ = ()

    def __call__(self, *args: Any, **names: Any) -> Any:
        """What the program's method returns."""
        owner, name = target_of(self)
        return link_of(self).call_method(owner, name, args, names)

    def __getattr__(self, name: str) -> Any:
        owner, method = target_of(self)
        return link_of(self).request("get of method", owner, method, name)


class RemoteIterator(StandIn):
    """A generator or another iterator of the program. A loop asks for more and more items at once."""

    __slots__ = ("_rltf_buffer", "_rltf_class")

    def __init__(self, link: Link, target: Any, is_generator: bool) -> None:
        StandIn.__init__(self, link, target)
        object.__setattr__(self, "_rltf_buffer", deque())
        object.__setattr__(self, "_rltf_class", types.GeneratorType if is_generator else RemoteIterator)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        return object.__getattribute__(self, "_rltf_class")

    def __iter__(self) -> Iterator[Any]:
        buffer, chunk_size = self._rltf_buffer, 1
        while True:
            while buffer:
                yield buffer.popleft()
            exhausted, items = ask(self, "next", chunk_size)
            buffer.extend(items)
            if exhausted and not items:
                return
            chunk_size = min(2 * chunk_size, MAX_CHUNK)

    def __next__(self) -> Any:
        buffer = self._rltf_buffer
        if not buffer:
            buffer.extend(ask(self, "next", 1)[1])
        if not buffer:
            raise StopIteration
        return buffer.popleft()


class RemoteAsyncIterator(StandIn):
    """An asynchronous generator of the program."""

    __slots__ = ()

    def __aiter__(self) -> RemoteAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        return ask(self, "await method", "__anext__", [])


for _class in (StandIn, RemoteProxy, RemoteMethod):
    _class.__doc__ = property(lambda self: self.__getattr__("__doc__"))  # type: ignore[assignment]


def coroutine_of(link: Link, target: Any) -> Any:
    """A coroutine that stands for one of the program: awaiting it awaits that one to its end."""

    async def coroutine() -> Any:
        return link.request("await", target)

    return coroutine()
