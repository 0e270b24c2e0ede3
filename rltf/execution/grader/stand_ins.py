"""Stand-ins, in the judge, for objects that live in the sandboxed child.

Test text runs here, where the program never is. What it does with a stand-in becomes a request to the child, whose
answer is a plain value, or another stand-in for an object that has no plain value. A stand-in equals nothing and cannot
be compared: the program would decide whether it is the expected value.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rltf.execution.values.codec import CannotSend, decode, encode
from rltf.execution.values.shared_objects import Packing, SharedObjects

Request = list[Any]
"""Operation, target, operands, shared objects (`rltf.execution.inside.objects`)."""
SendRequest = Callable[[Request], dict[str, Any]]
"""Sends a request, returns the answer."""

_MAX_ITEMS = 1_000_000
"""Items that are read of one iterable."""
_NEVER_RAISED = (Exception, StopIteration, StopAsyncIteration)


class RemoteError(Exception):
    """Stands for an exception of a class that the program made."""


class Incomparable(Exception):
    """A test compared a value that cannot cross the border."""


@dataclass(frozen=True)
class ChildLink:
    """What stand-ins need to reach the objects of one child."""

    send_request: SendRequest
    shared: SharedObjects
    """Objects of the classes that the task's setup defines, which travel as plain content."""


class RemoteProxy:
    """An object or function of the program.

    Args:
        link: leads to the child that has it.
        target: its global name there, or its number among those that the child keeps for us.
    """

    def __init__(self, link: ChildLink, target: str | int) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_target", target)

    def __call__(self, *args: Any, **names: Any) -> Any:
        """Calls it in the child; changes that it made to lists, dicts and sets among its arguments are made to ours."""
        packing = Packing(self._link.shared, _reference)
        positional = [encode(a, packing.reference) for a in args]
        keywords = {k: encode(v, packing.reference) for k, v in names.items()}
        answer = self._exchange("call", [positional, keywords], packing)
        for key, content in answer.get("changed", ()):
            argument = args[key] if type(key) is int else names[key]
            _replace_content(argument, decode(content, self._stand_in))
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
        chunk_size, total, exhausted = 1, 0, False
        while not exhausted and total < _MAX_ITEMS:
            exhausted, items = self._value(iterator._request("next", chunk_size))
            total += len(items)
            yield from items
            chunk_size *= 2

    def __next__(self) -> Any:
        exhausted, items = self._value(self._request("next", 1))
        if exhausted and not items:
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

    def _request(self, operation: str, *operands: Any) -> dict[str, Any]:
        packing = Packing(self._link.shared, _reference)
        return self._exchange(operation, [encode(value, packing.reference) for value in operands], packing)

    def _exchange(self, operation: str, operands: list[Any], packing: Packing) -> dict[str, Any]:
        answer = self._link.send_request([operation, self._target, operands, packing.table()])
        if objects := answer.get("objects"):
            self._link.shared.absorb(objects, self._stand_in)
        return answer

    def _value(self, answer: dict[str, Any]) -> Any:
        return decode(answer.get("value"), self._stand_in)

    def _stand_in(self, reference: Any) -> Any:
        """What a reference in an answer stands for: a shared object by its key, or an object of the child by number."""
        if type(reference) is str:
            return self._link.shared.find(reference)
        if type(reference) is not int:
            raise ValueError("a reference that is no number")
        return RemoteProxy(self._link, reference)


def _reference(value: Any) -> dict[str, Any]:
    if type(value) is RemoteProxy:
        return {"ref": object.__getattribute__(value, "_target")}
    raise CannotSend(f"a test passes a {type(value).__name__}, which cannot be sent to the program")


def _replace_content(old: Any, new: Any) -> None:
    """Gives the test's own object the content that the program's copy has now."""
    if type(old) is not type(new):
        return
    if isinstance(old, (list, bytearray)):
        old[:] = new
    elif isinstance(old, (dict, set)):
        old.clear()
        old.update(new)


def as_exception(record: dict[str, Any]) -> Exception:
    """The program's exception as test text sees it: of the nearest builtin class, never of a class of the program.

    Nor is it a `StopIteration`: that would end a `map` in the test as if all had been asked
    (`all(map(candidate, inputs))`).
    """
    for name in record.get("classes") or ():
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, Exception) and kind not in _NEVER_RAISED:
            try:
                return kind(record.get("message", ""))
            except TypeError:
                break
    return RemoteError(f"{record.get('type')}: {record.get('message')}")
