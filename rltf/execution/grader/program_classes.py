"""Classes of the program, mirrored: local classes whose calls and attributes are requests to the program's process.

A mirror has the name, the bases and the special methods of its class, so that `isinstance`, `except`, `callable` and
the like work on what a test gets. A test may derive classes of its own from one.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from typing import Any

from rltf.execution.grader.stand_ins import Link, StandIn, ask, attribute, link_of, target_of
from rltf.execution.values.bounds import ERRORS

_ENUMS: dict[str, Any] = {"Enum": Enum, "IntEnum": IntEnum, "StrEnum": StrEnum}


class MirrorClass(type):
    """The class of mirrors.

    The arguments are those of `type`; a class statement of a test (`class T(V)`) makes a class in the program's
    process too.
    """

    _rltf_program: Link
    _rltf_number: int
    _rltf_global: str | None
    """The global name of the class in the program."""

    def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any], row: Any = None) -> Any:
        """A mirror, where `row` is given; else a class of the program that a test derives, and its mirror."""
        if row is not None or not any(isinstance(base, MirrorClass) for base in bases):
            return super().__new__(mcs, name, bases, body)
        base = next(base for base in bases if isinstance(base, MirrorClass))
        content = {key: value for key, value in body.items() if key not in _NOT_SENT}
        mirror = base._rltf_program.request("subclass", base._rltf_number, name, list(bases), content)
        subclass = super().__new__(mcs, name, bases, {**body, "__slots__": ()})
        subclass._rltf_program, subclass._rltf_number = base._rltf_program, mirror._rltf_number
        subclass._rltf_global = None
        base._rltf_program.adopt(subclass, mirror._rltf_number)
        return subclass

    def __init__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], row: Any = None) -> None:
        super().__init__(name, bases, body)

    def __call__(cls, *args: Any, **names: Any) -> Any:
        """What stands for an object that the program's class makes."""
        if "_rltf_number" not in cls.__dict__:
            return super().__call__(*args, **names)
        return cls._rltf_program.call(cls._rltf_number, args, names)

    def __getattr__(cls, name: str) -> Any:
        if (name.startswith("__") and name.endswith("__")) or name.startswith("_rltf_"):
            raise AttributeError(name)
        return cls._rltf_program.request("get", cls._rltf_number, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        if name.startswith("_rltf_") or (name.startswith("__") and name.endswith("__")) or name == "_abc_impl":
            super().__setattr__(name, value)
        else:
            cls._rltf_program.request("set", cls._rltf_number, name, value)


_NOT_SENT = ("__module__", "__qualname__", "__classcell__", "__slots__")


class _Inherited:
    """A method of a mirrored class: found on it for `super().name(...)` in a class that a test derives."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: Any) -> Any:
        name = self._name
        if instance is not None and next(c.__dict__[name] for c in owner.__mro__ if name in c.__dict__) is self:
            return attribute(instance, name)
        mirror = next(c for c in owner.__mro__ if c.__dict__.get(name) is self)
        function = mirror._rltf_program.request("get", mirror._rltf_number, name)
        return function if instance is None else lambda *args, **names: function(instance, *args, **names)


def mirror_of(row: list[Any], bases: list[Any], link: Link) -> Any:
    """The mirror of the class that a row describes (`rltf.execution.inside.references`).

    Args:
        row: the description.
        bases: mirrors of its bases.
        link: leads to the program's process.

    Raises:
        ValueError: The row describes no class.
    """
    number, name, document, _, builtin, methods, global_name, identity, hashable, functions, members = row
    if type(name) is not str or "\0" in name or type(number) is not int:
        raise ValueError("a class without a name")
    if members is not None:
        return _enum(name, members)
    exceptions = [ERRORS[name] for name in map(str, builtin) if name in ERRORS]
    body: dict[str, Any] = {"__doc__": document if type(document) is str else None}
    is_error = exceptions or any(issubclass(base, BaseException) for base in bases)
    if not is_error:
        bases = bases or [StandIn]
        body |= {"__slots__": (), "own_equality": identity is not True}
        body |= {name: _Inherited(name) for name in functions if name == "__init__" or name.strip("_")[:1] == name[:1]}
        body |= {method: _METHODS[method] for method in methods if method in _METHODS}
        if hashable is not True:
            body["__hash__"] = None
    try:
        mirror = MirrorClass(name, (*bases, *exceptions) or (Exception,), body, row=row)
    except TypeError:  # bases that no order suits
        mirror = MirrorClass(name, (Exception if is_error else StandIn,), body, row=row)
    mirror._rltf_program, mirror._rltf_number = link, number
    mirror._rltf_global = global_name if type(global_name) is str else None
    return mirror


def builtin_error(name: Any) -> Any:
    """The builtin class of exceptions with a name; `Exception` for any other name, among them `exec`."""
    return ERRORS.get(str(name), Exception)


def _enum(name: str, members: Any) -> Any:
    kind, items = members
    if any(str(key)[:1] == str(key)[-1:] == "_" for key, _ in items):  # such as `__eq__`, which would be a method
        raise ValueError("no name of a member")
    try:
        return _ENUMS[kind](name, [(str(key), value) for key, value in items])
    except (TypeError, KeyError) as e:
        raise ValueError(f"no Enum: {e}") from None


def error_of(cls: Any, args: list[Any], text: Any, target: int) -> Any:
    """An exception of a mirrored class, made without asking the program.

    Args:
        cls: the mirror, or a builtin class.
        args: its arguments.
        text: what `str` says of it; None: what its builtin class makes of the arguments.
        target: number of the program's exception.
    """
    if not isinstance(cls, MirrorClass):
        try:
            return cls(*args)
        except TypeError:
            error: BaseException = cls.__new__(cls)
            error.args = tuple(args)
            return error
    error = cls.__new__(_with_text(cls), *args)
    error.args = tuple(args)
    error.__dict__.update(_rltf_text=text, _rltf_target=target)
    return error


def _with_text(cls: Any) -> Any:
    """`cls` itself, which from now on says of its exceptions what the program says, and asks for their attributes."""
    if "_rltf_text" not in cls.__dict__:
        cls._rltf_text = None
        cls.__str__ = lambda self: str(self.__dict__.get("_rltf_text"))
        cls.__getattr__ = lambda self, name: _attribute(self, name)
    return cls


def _attribute(error: Any, name: str) -> Any:
    if name.startswith("__") or "_rltf_target" not in error.__dict__:
        raise AttributeError(name)
    return type(error)._rltf_program.request("get", error.__dict__["_rltf_target"], name)


def _binary(operation: str, reflected: bool) -> Callable[[Any, Any], Any]:
    def method(self: Any, operand: Any) -> Any:
        link = link_of(self)
        if not link.is_named(type(self)) and not (isinstance(operand, StandIn) and link.is_named(type(operand))):
            if isinstance(operand, StandIn):
                link.give_up("a test compares or computes with two objects of the program, of no class that it names")
            return NotImplemented
        if reflected:
            return link.request("reflected", target_of(self), operation, operand)
        return link.request(operation, target_of(self), operand)

    return method


def _unary(operation: str) -> Callable[..., Any]:
    def method(self: Any, *operands: Any) -> Any:
        return ask(self, operation, *operands)

    return method


def _contains(self: Any, element: Any) -> bool:
    """The program's word; of a class that no test names only where it does not say the same of everything."""
    is_named = link_of(self).is_named(type(self))
    if isinstance(element, (str, bytes)) and not is_named:
        raise TypeError("an object of the program where a text is expected")
    contained = ask(self, "contains", element) is True
    if contained and not is_named and all(ask(self, "contains", value) is True for value in _unlikely()):
        raise TypeError("an object of the program that contains whatever it is asked for")
    return contained


def _unlikely() -> list[Any]:
    return [-secrets.randbits(60), secrets.token_hex(), secrets.randbits(60) / 7]


def _call(self: Any, *args: Any, **names: Any) -> Any:
    return link_of(self).call(target_of(self), args, names)


def _awaited(name: str) -> Callable[..., Any]:
    async def method(self: Any) -> Any:
        return ask(self, "await method", name, [])

    return method


def _leave(self: Any, kind: Any, error: Any, trace: Any) -> Any:
    """What the program's class makes of an exception; it cannot swallow an assertion of the test."""
    answer = ask(self, "exit", error)
    return answer and not link_of(self).is_failure(error)


async def _leave_later(self: Any, kind: Any, error: Any, trace: Any) -> Any:
    answer = ask(self, "await method", "__aexit__", [kind, error, None])
    return answer and not link_of(self).is_failure(error)


def _await(self: Any) -> Any:
    return ask(self, "await")
    yield  # a generator, as `await` wants it


_BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift"),
)
_UNARY = (
    *("neg", "pos", "abs", "invert", "int", "float", "complex", "index", "bytes"),
    *("round", "trunc", "floor", "ceil", "reversed", "enter"),
)
_NAMES = {"and": "and_", "or": "or_"}
_METHODS: dict[str, Any] = {
    **{f"__{name}__": _binary(_NAMES.get(name, name), reflected=False) for name in (*_BINARY, "divmod")},
    **{f"__r{name}__": _binary(_NAMES.get(name, name), reflected=True) for name in (*_BINARY, "divmod")},
    **{f"__i{name}__": _binary("i" + name, reflected=False) for name in _BINARY},
    **{f"__{name}__": _binary(name, reflected=False) for name in ("lt", "le", "gt", "ge")},
    **{f"__{name}__": _unary(name) for name in _UNARY},
    "__bool__": _unary("true"),
    "__len__": _unary("length"),
    "__iter__": _unary("iterate"),
    "__next__": _unary("one"),
    "__contains__": _contains,
    "__getitem__": _unary("item"),
    "__setitem__": _unary("put"),
    "__delitem__": _unary("remove"),
    "__call__": _call,
    "__exit__": _leave,
    "__aenter__": _awaited("__aenter__"),
    "__aexit__": _leave_later,
    "__anext__": _awaited("__anext__"),
    "__aiter__": lambda self: self,
    "__await__": _await,
}
"""Special methods that a mirror can have."""
