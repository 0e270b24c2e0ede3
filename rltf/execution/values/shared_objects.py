"""Objects of the classes that a task's setup defines (`ListNode`, `TreeNode`): they exist on both sides of the border.

Setup code is trusted and runs in the judge as well as in the child, so both have the class. An object is known by a
key; a message that mentions it carries the fields of every such object that can be reached from it, in a flat table,
and the other side makes or updates its own copy. Identity, cycles and changes of arguments therefore survive. Fields
are values as the codec sends them; no method of the class runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic

from rltf.execution.values.codec import CannotSend, decode, encode

JUDGE, CHILD = "#", "@"
"""First letters of the keys that each side gives out; no name of Python starts so."""
_MAX_OBJECTS = 200_000

Row = list[Any]
"""Of a table: key, name of the class, fields as `[name, value]`."""
Reference = Callable[[Any], Any]


def classes_of(namespace: Mapping[str, Any]) -> dict[str, type]:
    """The classes that the code which made `namespace` defines itself, built on nothing but `object` and each other."""
    own: dict[str, type] = {}
    for name, value in namespace.items():
        if type(value) is type and value.__module__ == namespace["__name__"]:
            own[name] = value
    plain = {object, Generic, *own.values()}
    return {name: kind for name, kind in own.items() if plain.issuperset(kind.__mro__)}


class Shared:
    """One side's copies.

    Args:
        classes: By the names that both sides know them by.
        mark: `JUDGE` or `CHILD`, who we are.
    """

    def __init__(self, classes: Mapping[str, type], mark: str) -> None:
        self._classes = classes
        self._names = {kind: name for name, kind in classes.items()}
        self._mark = mark
        self._objects: dict[str, Any] = {}
        self._keys: dict[int, str] = {}

    def key(self, value: Any) -> str | None:
        """The key of an object, a new one if need be; None for objects of other classes."""
        if type(value) not in self._names:
            return None
        key = self._keys.get(id(value))
        if key is None:
            key = f"{self._mark}{len(self._keys)}"
            self._know(key, value)
        return key

    def row(self, key: str, value: Any, reference: Reference) -> Row:
        """What the other side needs to know of an object."""
        fields = dict(getattr(value, "__dict__", ()))
        for name in _slots(type(value)):
            if hasattr(value, name):
                fields[name] = getattr(value, name)
        return [key, self._names[type(value)], [[name, encode(v, reference)] for name, v in fields.items()]]

    def find(self, key: Any) -> Any:
        """The object that the other side means.

        Raises:
            ValueError: There is none.
        """
        if key not in self._objects:
            raise ValueError(f"an object that nobody knows: {key!r:.50}")
        return self._objects[key]

    def absorb(self, table: Any, resolve: Callable[[Any], Any]) -> None:
        """Makes or updates the objects of a table.

        Raises:
            ValueError: It is none that `Packing.table` gives.
        """
        rows = [_checked(row) for row in table] if isinstance(table, list) else []
        for key, name, _ in rows:
            if key not in self._objects:
                if name not in self._classes or key[:1] not in (JUDGE, CHILD) or key[:1] == self._mark:
                    raise ValueError(f"an object that cannot be: {key!r:.50}")
                self._know(key, object.__new__(self._classes[name]))
        for key, _, fields in rows:
            self._fill(self._objects[key], {n: decode(v, resolve) for n, v in fields})

    def _fill(self, value: Any, fields: dict[str, Any]) -> None:
        for name in _slots(type(value)):
            if name in fields:
                object.__setattr__(value, name, fields.pop(name))
        if fields:
            own = object.__getattribute__(value, "__dict__")
            own.clear()
            own.update(fields)

    def _know(self, key: str, value: Any) -> None:
        self._objects[key] = value  # kept, so that its id stays its own
        self._keys[id(value)] = key


class Packing:
    """One message's values: collects the shared objects that they mention.

    Args:
        shared: The objects that this side knows.
        other: What to send for objects of other classes.
    """

    def __init__(self, shared: Shared, other: Reference) -> None:
        self._shared = shared
        self._other = other
        self._found: dict[str, Any] = {}

    def reference(self, value: Any) -> Any:
        """For `encode`: what to send for an object that has no content of its own."""
        key = self._shared.key(value)
        if key is None:
            return self._other(value)
        self._found[key] = value
        return {"ref": key}

    def table(self, known: Iterable[Row] = ()) -> list[Row]:
        """Rows of all objects mentioned, directly or through others, but for those as in `known`.

        Raises:
            CannotSend: They are too many, or a field cannot be sent.
        """
        if not self._found:
            return []
        rows: dict[str, Row] = {}
        while missing := [key for key in self._found if key not in rows]:
            for key in missing:
                rows[key] = self._shared.row(key, self._found[key], self.reference)
            if len(rows) > _MAX_OBJECTS:
                raise CannotSend(f"more than {_MAX_OBJECTS} objects")
        before = {row[0]: row for row in known}
        return [row for key, row in rows.items() if before.get(key) != row]


def _slots(kind: type) -> list[str]:
    found: list[str] = []
    for base in kind.__mro__:
        names = base.__dict__.get("__slots__", ())
        found += [names] if isinstance(names, str) else names
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _checked(row: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    key, name, fields = row
    if type(key) is not str or type(name) is not str or any(type(n) is not str for n, _ in fields):
        raise ValueError("a row that is no row")
    return key, name, fields
