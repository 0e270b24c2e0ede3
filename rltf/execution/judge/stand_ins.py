"""Stand-ins, in the judge, for objects that live in the sandboxed child.

Test text runs here, where the program never is. What it asks of a stand-in goes to the child and comes back as a plain
value, or as another stand-in for an object that has no plain value. A stand-in equals nothing and cannot be compared:
whether it is the expected value would be the program's word.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rltf.execution.values.codec import CannotSend, decode, encode
from rltf.execution.values.shared_objects import Packing, Shared

Ask = Callable[[list[Any]], dict[str, Any]]
"""Sends a request, returns the answer."""

_MAX_ITEMS = 1_000_000
_NEVER = (Exception, StopIteration, StopAsyncIteration)


class RemoteError(Exception):
    """An exception of a class that the program made."""


class Incomparable(Exception):
    """A test compared a value that cannot cross the border."""


@dataclass(frozen=True)
class ChildLink:
    """The way to one child."""

    ask: Ask
    shared: Shared
    """Objects of the task's own classes, which are plain content."""


class RemoteProxy:
    """An object or function of the program."""

    def __init__(self, border: ChildLink, target: str | int) -> None:
        object.__setattr__(self, "_border", border)
        object.__setattr__(self, "_target", target)

    def __call__(self, *args: Any, **names: Any) -> Any:
        """Calls it in the child; what it did to lists, dicts and sets it was given is done to ours."""
        packing = Packing(self._border.shared, _reference)
        sent = [encode(a, packing.reference) for a in args]
        named = {k: encode(v, packing.reference) for k, v in names.items()}
        answer = self._exchange("call", [sent, named], packing)
        for at, after in answer.get("changed", ()):
            given = args[at] if type(at) is int else names[at]
            _replace(given, decode(after, self._stand_in))
        return self._value(answer)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__") and name not in ("__name__", "__doc__", "__dict__"):
            raise AttributeError(name)
        return self._value(self._request("get", name))

    def __setattr__(self, name: str, value: Any) -> None:
        self._request("set", name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._value(self._request("item", key))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._request("put", key, value)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._value(self._request("iterate"))
        if not isinstance(iterator, RemoteProxy):
            raise TypeError("not iterable")
        wanted, seen, done = 1, 0, False
        while not done and seen < _MAX_ITEMS:
            done, items = self._value(iterator._request("next", wanted))
            seen += len(items)
            yield from items
            wanted *= 2

    def __next__(self) -> Any:
        done, items = self._value(self._request("next", 1))
        if done and not items:
            raise StopIteration
        return items[0]

    def __len__(self) -> int:
        size = self._value(self._request("length"))
        if type(size) is not int or size < 0:
            raise TypeError("a length that is no length")
        return size

    def __bool__(self) -> bool:
        return self._value(self._request("true")) is True

    def __str__(self) -> str:
        text = self._value(self._request("text"))
        return text if type(text) is str else ""

    def __eq__(self, other: object) -> bool:
        raise Incomparable("the program returned an object that has no plain value")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = None  # type: ignore[assignment]

    def _request(self, operation: str, *rest: Any) -> dict[str, Any]:
        packing = Packing(self._border.shared, _reference)
        return self._exchange(operation, [encode(value, packing.reference) for value in rest], packing)

    def _exchange(self, operation: str, rest: list[Any], packing: Packing) -> dict[str, Any]:
        answer = self._border.ask([operation, self._target, rest, packing.table()])
        if objects := answer.get("objects"):
            self._border.shared.absorb(objects, self._stand_in)
        return answer

    def _value(self, answer: dict[str, Any]) -> Any:
        return decode(answer.get("value"), self._stand_in)

    def _stand_in(self, number: Any) -> Any:
        if type(number) is str:
            return self._border.shared.find(number)
        if type(number) is not int:
            raise ValueError("a reference that is no number")
        return RemoteProxy(self._border, number)


def _reference(value: Any) -> dict[str, Any]:
    if type(value) is RemoteProxy:
        return {"ref": object.__getattribute__(value, "_target")}
    raise CannotSend(f"a test passes a {type(value).__name__}, which cannot be sent to the program")


def _replace(old: Any, new: Any) -> None:
    """Makes the test's own object what the program's copy became."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)


def as_exception(record: dict[str, Any]) -> Exception:
    """The program's exception, for tests that expect one: the nearest builtin class, never a class of the program.

    Never `StopIteration`: it would end a `map` in the test as if all had been asked (`all(map(candidate, inputs))`).
    """
    for name in record.get("classes") or ():
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, Exception) and kind not in _NEVER:
            try:
                return kind(record.get("message", ""))
            except TypeError:
                break
    return RemoteError(f"{record.get('type')}: {record.get('message')}")
