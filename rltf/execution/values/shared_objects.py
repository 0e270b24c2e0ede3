"""Objects of the classes that a task's setup defines (`ListNode`, `TreeNode`): judge and child each have a copy.

Setup code is trusted and runs in the judge as well as in the child, so both have the class. Each object has a key; a
message that mentions it carries the fields of every such object that can be reached from it, in a flat table, and the
receiver makes or updates its own copy. Identity, cycles and changes of arguments therefore survive. Fields are values
as the codec sends them; no method of the class runs here. In the judge, a field that the program added is there only if
it can lie about nothing: plain content, and not in the place of a method of the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic

from rltf.execution.values.codec import CannotSend, Decoder, Encoder, decode, encode

JUDGE, CHILD = "#", "@"
"""First characters of the keys that each side makes; no name of Python starts so."""
_MAX_OBJECTS = 200_000
"""Objects of one message."""

Row = list[Any]
"""Row of a table: key, name of the class, fields as `[name, value]`."""
Reference = Callable[[Any], Any]
"""What is sent in the place of an object that has no content of its own."""


def classes_of(namespace: Mapping[str, Any]) -> dict[str, type]:
    """The classes that the code of `namespace` defines itself, whose bases are `object` and each other alone."""
    classes: dict[str, type] = {}
    for name, value in namespace.items():
        if type(value) is type and value.__module__ == namespace["__name__"]:
            classes[name] = value
    allowed_bases = {object, Generic, *classes.values()}
    return {name: cls for name, cls in classes.items() if allowed_bases.issuperset(cls.__mro__)}


class SharedObjects:
    """The copies of one side.

    Args:
        classes: The setup's classes by name.
        mark: `JUDGE` or `CHILD`: which side this is.
    """

    def __init__(self, classes: Mapping[str, type], mark: str) -> None:
        self._classes = classes
        self._names = {cls: name for name, cls in classes.items()}
        self._mark = mark
        self._objects: dict[str, Any] = {}
        self._keys: dict[int, str] = {}
        self._hidden: dict[str, dict[str, Any]] = {}
        """Key -> encoded fields that an object has on the other side alone."""

    def key(self, value: Any) -> str | None:
        """The key of an object, a new one if need be; None for objects of other classes."""
        if type(value) not in self._names:
            return None
        key = self._keys.get(id(value))
        if key is None:
            key = f"{self._mark}{len(self._keys)}"
            self._add(key, value)
        return key

    def row(self, key: str, value: Any, reference: Reference) -> Row:
        """The row of an object in a message's table."""
        fields = dict(getattr(value, "__dict__", ()))
        for name in _slots(type(value)):
            if hasattr(value, name):
                fields[name] = getattr(value, name)
        encoder = Encoder(reference, rich=True)
        encoded = {name: encode(v, encoder) for name, v in fields.items()}
        return [key, self._names[type(value)], [*map(list, (self._hidden.get(key, {}) | encoded).items())]]

    def find(self, key: Any) -> Any:
        """The object of a key.

        Raises:
            ValueError: There is none.
        """
        if key not in self._objects:
            raise ValueError(f"no shared object has the key {key!r:.50}")
        return self._objects[key]

    def absorb(self, table: Any, resolve: Callable[[Any], Any]) -> None:
        """Makes or updates the objects of a table.

        Args:
            table: what `Packing.table` returned on the other side.
            resolve: turns references in fields back into objects.

        Raises:
            ValueError: It is no such table.
        """
        rows = [_checked(row) for row in table] if isinstance(table, list) else []
        for key, name, _ in rows:
            if key not in self._objects:
                if name not in self._classes or key[:1] not in (JUDGE, CHILD) or key[:1] == self._mark:
                    raise ValueError(f"no object can have the key {key!r:.50}")
                self._add(key, object.__new__(self._classes[name]))
        for key, _, fields in rows:
            self._fill(key, fields, resolve)

    def _fill(self, key: str, fields: list[tuple[str, Any]], resolve: Callable[[Any], Any]) -> None:
        """Gives an object the fields of its row."""
        value = self._objects[key]
        cls, slots = type(value), _slots(type(value))
        values: dict[str, Any] = {}
        hidden: dict[str, Any] = {}
        decoder = Decoder(_shared_alone(resolve) if self._mark == JUDGE else resolve)
        for name, encoded in fields:
            if self._mark == JUDGE and name not in slots and _is_method(cls, name):
                hidden[name] = encoded
                continue
            try:
                values[name] = decode(encoded, decoder)
            except _NotPlain:
                hidden[name] = encoded
        if self._mark == JUDGE:
            self._hidden[key] = hidden
        for name in slots:
            if name in values:
                object.__setattr__(value, name, values.pop(name))
        if values or hasattr(value, "__dict__"):
            attributes = object.__getattribute__(value, "__dict__")
            attributes.clear()
            attributes.update(values)

    def _add(self, key: str, value: Any) -> None:
        self._objects[key] = value  # which keeps it alive, so that its id stays its own
        self._keys[id(value)] = key


class _NotPlain(ValueError):
    """A field holds an object that has no content of its own."""


def _shared_alone(resolve: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def resolve_shared(reference: Any) -> Any:
        if type(reference) is not str:
            raise _NotPlain("an object of the program in a field")
        return resolve(reference)

    return resolve_shared


def _is_method(cls: type, name: str) -> bool:
    """True where a field of that name would hide what the class does."""
    for base in cls.__mro__:
        if name in base.__dict__:
            value = base.__dict__[name]
            return callable(value) or hasattr(type(value), "__get__")
    return False


class Packing:
    """Collects the shared objects that the values of one message mention.

    Args:
        shared: The shared objects of this side.
        reference_other: What is sent for objects of other classes.
    """

    def __init__(self, shared: SharedObjects, reference_other: Reference) -> None:
        self._shared = shared
        self._reference_other = reference_other
        self._mentioned: dict[str, Any] = {}

    def reference(self, value: Any) -> Any:
        """What `encode` sends for an object that has no content of its own."""
        key = self._shared.key(value)
        if key is None:
            return self._reference_other(value)
        self._mentioned[key] = value
        return {"ref": key}

    def table(self, receiver_has: Iterable[Row] = ()) -> list[Row]:
        """Rows of all objects that are mentioned, directly or through others.

        Args:
            receiver_has: Rows that need not be sent, as the receiver has them like this.

        Raises:
            CannotSend: They are too many, or a field cannot be sent.
        """
        if not self._mentioned:
            return []
        rows: dict[str, Row] = {}
        while missing := [key for key in self._mentioned if key not in rows]:
            for key in missing:
                rows[key] = self._shared.row(key, self._mentioned[key], self.reference)
            if len(rows) > _MAX_OBJECTS:
                raise CannotSend(f"more than {_MAX_OBJECTS} objects")
        unchanged = {row[0]: row for row in receiver_has}
        return [row for key, row in rows.items() if unchanged.get(key) != row]


def _slots(cls: type) -> list[str]:
    slots: list[str] = []
    for base in cls.__mro__:
        names = base.__dict__.get("__slots__", ())
        slots += [names] if isinstance(names, str) else names
    return [name for name in slots if name not in ("__dict__", "__weakref__")]


def _checked(row: Any) -> tuple[str, str, list[tuple[str, Any]]]:
    key, name, fields = row
    if type(key) is not str or type(name) is not str or any(type(n) is not str for n, _ in fields):
        raise ValueError("a row is a key, the name of a class and named fields")
    return key, name, fields
