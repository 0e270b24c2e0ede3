"""Types of values, and how literals and annotations name them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type of values, e.g. `list[int]`.

    >>> str(ValueType("list", (ValueType("int"),)))
    'list[int]'
    """

    name: str
    """`int`, `float`, `bool`, `str`, `none`, `list`, `set`, `tuple`, `dict` or `optional`."""
    of: tuple[ValueType, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(map(str, self.of))}]" if self.of else self.name


INT, FLOAT, BOOL, STR, NONE = (ValueType(name) for name in ("int", "float", "bool", "str", "none"))


def list_of(item: ValueType) -> ValueType:
    """The type of lists of such items."""
    return ValueType("list", (item,))


def as_text(kind: ValueType) -> ValueType:
    """The type with texts in the place of numbers.

    >>> str(as_text(list_of(INT)))
    'list[str]'
    """
    return STR if kind in (INT, FLOAT) else ValueType(kind.name, tuple(map(as_text, kind.of)))


NAMES = {
    "int": INT,
    "float": FLOAT,
    "bool": BOOL,
    "str": STR,
    "None": NONE,
    "integer": INT,
    "string": STR,
    "number": INT,
    "boolean": BOOL,
    "text": STR,
    "char": STR,
    "character": STR,
    "complex": FLOAT,
    "list": list_of(INT),
    "array": list_of(INT),
    "dict": ValueType("dict", (STR, INT)),
    "set": ValueType("set", (INT,)),
    "tuple": ValueType("tuple", (INT, INT)),
}
CONTAINERS = {
    "list": "list",
    "sequence": "list",
    "iterable": "list",
    "collection": "list",
    "mutablesequence": "list",
    "set": "set",
    "frozenset": "set",
    "abstractset": "set",
    "tuple": "tuple",
    "optional": "optional",
    "dict": "dict",
    "mapping": "dict",
    "defaultdict": "dict",
    "counter": "dict",
    "mutablemapping": "dict",
}


def type_of_value(value: object) -> ValueType | None:
    """The type of a literal; None for one that no strategy makes."""
    match value:
        case bool():
            return BOOL
        case int() | float() | str():
            return ValueType(type(value).__name__)
        case list() | set() | tuple() if value:
            items = [type_of_value(item) for item in value]
            if None in items:
                return None
            if isinstance(value, tuple):
                return ValueType("tuple", tuple(item for item in items if item is not None))
            return ValueType(type(value).__name__, (Counter(items).most_common(1)[0][0],))  # type: ignore[arg-type]
        case dict() if value:
            key, item = (type_of_value(next(iter(side))) for side in (value.keys(), value.values()))
            return None if key is None or item is None else ValueType("dict", (key, item))
    return None


def type_of_annotation(node: ast.expr | None) -> ValueType | None:
    """The type that an annotation names, e.g. `List[int]`, `int | None`; None for one that is not known."""
    match node:
        case ast.Constant(value=None):
            return NONE
        case ast.Constant(value=str()):
            try:
                return type_of_annotation(ast.parse(str(node.value), mode="eval").body)
            except SyntaxError:
                return None
        case ast.Name() | ast.Attribute():
            name = node.id if isinstance(node, ast.Name) else node.attr
            return NAMES.get(name) or NAMES.get(name.lower())
        case ast.BinOp(op=ast.BitOr()):
            sides = [type_of_annotation(side) for side in (node.left, node.right)]
            return _union(sides)
        case ast.Subscript(value=ast.Name() | ast.Attribute() as base):
            name = (base.id if isinstance(base, ast.Name) else base.attr).lower()
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            types = [type_of_annotation(part) for part in parts if not _is_ellipsis(part)]
            if name == "union":
                return _union(types)
            if name not in CONTAINERS or not types or None in types:
                return None
            item_types = tuple(t for t in types if t is not None)
            kind = CONTAINERS[name]
            if kind == "tuple" and len(parts) > len(item_types):
                return ValueType("tuple", item_types * 3)
            if name == "counter":
                item_types = (item_types[0], INT)
            return ValueType(kind, item_types) if len(item_types) == 2 or kind != "dict" else None
    return None


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is ...


def _union(types: Sequence[ValueType | None]) -> ValueType | None:
    if None in types:
        return None
    members = [t for t in types if t is not None and t != NONE]
    if not members:
        return NONE
    return ValueType("optional", (members[0],)) if NONE in types else members[0]


def is_bare(node: ast.expr | None) -> bool:
    """True for a container without the type of its items."""
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.lower() in CONTAINERS or name == "array"
