"""References to the program's objects: a number, and what the judge must know to stand in for the object.

`[number, kind, about]`: kind `object` (about: number of its class), `function` (name, code flags), `class`,
`iterator` (`generator` or ""), `coroutine`, `iterator of coroutines`, `method` (owner, name), `member` of an Enum
(number of its class, name), `exception` (number of its class or name of a builtin one, arguments, text), `other`.
Classes are described once, in a table beside the first reference that mentions them.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from enum import Enum, EnumMeta, IntEnum, StrEnum
from typing import Any

from rltf.execution.values.bounds import CannotSend
from rltf.execution.values.codec import Encoder

_BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
    *("and", "or", "xor", "lshift", "rshift", "divmod"),
)
_OTHERS = (
    *("lt", "le", "gt", "ge", "neg", "pos", "abs", "invert", "int", "float", "complex", "index", "bytes", "round"),
    *("trunc", "floor", "ceil", "bool", "len", "iter", "next", "reversed", "contains", "getitem", "setitem", "delitem"),
    *("call", "enter", "exit", "aenter", "aexit", "aiter", "anext", "await"),
)
OPERATORS = tuple(f"__{name}__" for name in (*(p + n for p in ("", "r", "i") for n in _BINARY), *_OTHERS))
"""Special methods that a stand-in has when the class has them."""
_MAX_TEXT = 10_000
_METHODS = (types.MethodType, types.BuiltinMethodType)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType)


class References:
    """Numbers of the objects that the judge has been told of.

    Args:
        namespace: global names of the program.
        lent_id: the judge's number of an object of its own that it lent to the program, or None.
    """

    def __init__(self, namespace: Mapping[str, Any], lent_id: Callable[[Any], int | None]) -> None:
        self._namespace = namespace
        self._lent_id = lent_id
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._described: set[int] = set()
        self._new_classes: list[int] = []

    def find(self, number: int) -> Any:
        """The object of a number."""
        return self._objects[number]

    def encode(self, value: Any, encoder: Encoder) -> Any:
        """What is sent for an object without plain content."""
        lent = self._lent_id(value)
        return {"ref": ["yours", lent, None] if lent is not None else self._reference(value, encoder)}

    def class_rows(self, encoder: Encoder) -> list[list[Any]]:
        """Descriptions of the classes that were mentioned for the first time since the last call."""
        rows = []
        for number in self._new_classes:  # which grows as bases are mentioned
            rows.append(self._class_row(number, encoder))
        self._new_classes = []
        return rows

    def _number(self, value: Any) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)  # kept, so that its id stays its own
        return number

    def _class(self, cls: type) -> int:
        number = self._number(cls)
        if number not in self._described:
            self._described.add(number)
            self._new_classes.append(number)
        return number

    def _reference(self, value: Any, encoder: Encoder) -> list[Any]:
        kind = type(value)
        if isinstance(value, type) and issubclass(kind, type):
            return [self._class(value), "class", None]
        if isinstance(kind, EnumMeta) and issubclass(kind, Enum):
            return [self._number(value), "member", [self._class(kind), str(value.name)]]
        if kind in _METHODS and (owner := value.__self__) is not None and not isinstance(owner, types.ModuleType):
            return [-1, "method", [self._owner(owner, encoder), str(value.__name__)]]
        if kind in _FUNCTIONS:
            flags = value.__code__.co_flags if kind is types.FunctionType else 0
            return [self._number(value), "function", [str(value.__name__), flags]]
        if kind is types.CoroutineType:
            return [self._number(value), "coroutine", None]
        if kind is types.AsyncGeneratorType:
            return [self._number(value), "iterator of coroutines", None]
        if kind is types.GeneratorType or (kind.__module__ in ("builtins", "itertools") and hasattr(kind, "__next__")):
            return [self._number(value), "iterator", "generator" if kind is types.GeneratorType else ""]
        if issubclass(kind, BaseException):
            return [self._number(value), "exception", self.exception(value, encoder)]
        if issubclass(kind, types.ModuleType):
            return [self._number(value), "other", None]
        return [self._number(value), "object", self._class(kind)]

    def _owner(self, owner: Any, encoder: Encoder) -> int:
        if isinstance(owner, type):
            return self._class(owner)
        return self._number(owner)

    def exception(self, error: BaseException, encoder: Encoder) -> list[Any]:
        """Class, arguments and text of an exception; the text only where its class makes one of its own."""
        kind = type(error)
        builtin = kind.__module__ == "builtins"
        try:
            args = encoder.items(error.args, 0)
        except CannotSend:
            args = []
        text = None
        if not builtin:
            text = str.__str__(str(error))[:_MAX_TEXT]
        return [kind.__name__ if builtin else self._class(kind), args, text]

    def _class_row(self, number: int, encoder: Encoder) -> list[Any]:
        """Number, name, document, numbers of bases, names of builtin exceptions among them, special methods, what the
        class is known by, whether its `==` is plain identity, whether it can be hashed, its own functions, members of
        an Enum."""
        cls = self._objects[number]
        bases = [base for base in cls.__bases__ if base is not object]
        builtin_names = [base.__name__ for base in bases if base.__module__ == "builtins"]
        base_numbers = [self._class(base) for base in bases if base.__module__ != "builtins"]
        content: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            content.update(base.__dict__)  # not by `getattr`, which looks into the class of the class as well
        methods = [name for name in OPERATORS if content.get(name) is not None]
        name, document = str(cls.__name__), cls.__doc__
        global_name = name if self._namespace.get(name) is cls else None
        functions = [
            n for n, v in vars(cls).items() if type(v) is types.FunctionType and (n[:2] != "__" or n == "__init__")
        ]
        return [
            *(
                number,
                name,
                document[:_MAX_TEXT] if type(document) is str else None,
                base_numbers,
                builtin_names,
                methods,
            ),
            *(global_name, content["__eq__"] is object.__eq__, content["__hash__"] is not None, functions),
            _members(cls, encoder) if isinstance(cls, EnumMeta) else None,
        ]


def _members(cls: EnumMeta, encoder: Encoder) -> list[Any] | None:
    """`[kind, [[name, value] ...]]` of an Enum whose members are told apart as the library does; None for others."""
    kinds = {IntEnum: "IntEnum", StrEnum: "StrEnum"}
    kind = next((name for base, name in kinds.items() if issubclass(cls, base)), "Enum")
    base: Any = {"IntEnum": int, "StrEnum": str}.get(kind, Enum)
    if cls.__eq__ is not base.__eq__:
        return None
    items: Iterable[tuple[str, Any]] = cls.__members__.items()
    return [kind, [[name, encoder.encode(member.value)] for name, member in items]]
