"""The child's end of test text: the program's objects stay here, the judge has numbers for them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import CodeType
from typing import Any

from rltf.execution.inside import error_location
from rltf.execution.inside.channel import Channel
from rltf.execution.inside.entry_point import find
from rltf.execution.values.codec import CannotSend, decode, encode
from rltf.execution.values.shared_objects import CHILD, JUDGE, Packing, SharedObjects

_MUTABLE = (list, dict, set, bytearray)
_MAX_CHUNK = 256
"""Items of an iterator in one answer."""


class Objects:
    """Answers the judge's requests `[operation, target, operands, shared objects]` on the program's objects."""

    def __init__(self, namespace: dict[str, Any], code: CodeType, classes: dict[str, type]) -> None:
        self._namespace = namespace
        self._code = code
        self._shared = SharedObjects(classes, CHILD)
        self._referenced: list[Any] = []
        """Objects that the judge has been told of, by number."""

    def serve(self, channel: Channel) -> None:
        """Answers until the judge hangs up."""
        while (request := channel.receive()) is not None:
            if request[0] == "result":
                self._send_result(channel, request[1], request[2][0])
            elif request[0] == "ping":
                channel.send_value(None)
            else:
                channel.send(self._answer(request))

    def _send_result(self, channel: Channel, name: str, args: list[Any]) -> None:
        """Calls a function of the program and sends what it returns, as plain content."""
        try:
            value = find(self._namespace, name)(*decode(args))
        except BaseException as e:
            channel.send({"error": error_location.runtime(e, self._code)})
            return
        try:
            encoded = encode(value)
        except CannotSend as e:
            channel.send({"unsendable": str(e)})
            return
        channel.send_value(encoded)

    def _answer(self, request: list[Any]) -> dict[str, Any]:
        operation, target, operands, table = request
        packing = Packing(self._shared, self._reference)
        try:
            self._shared.absorb(table, self._resolve)
            value, changed = self._do(operation, self._find(target), operands, packing)
        except BaseException as e:
            return {"error": error_location.runtime(e, self._code)}
        try:
            answer = {"value": encode(value, packing.reference)} | ({"changed": changed} if changed else {})
            for key, _, _ in table:
                packing.reference(self._shared.find(key))  # an argument, which may have changed
            objects = packing.table(receiver_has=table)
        except CannotSend as e:
            return {"unsendable": str(e)}
        return answer | {"objects": objects} if objects else answer

    def _do(self, operation: str, target: Any, operands: list[Any], packing: Packing) -> tuple[Any, list[Any]]:
        """The value of an operation, and the arguments that it changed as `[position or name, content]`."""
        if operation == "call":
            args, names = operands
            return self._call(target, args, names, packing)
        if operation == "next":
            return self._next(target, operands[0]), []
        return _OPERATIONS[operation](target, *(decode(operand, self._resolve) for operand in operands)), []

    def _call(self, function: Any, args: list[Any], names: dict[str, Any], packing: Packing) -> tuple[Any, list[Any]]:
        positional = [decode(a, self._resolve) for a in args]
        keywords = {k: decode(v, self._resolve) for k, v in names.items()}
        value = function(*positional, **keywords)
        changed = []
        arguments = (*zip(count(), args, positional), *zip(keywords, names.values(), keywords.values(), strict=True))
        for key, old_content, argument in arguments:
            if type(argument) in _MUTABLE:
                try:
                    content = encode(argument, packing.reference)
                except CannotSend:
                    continue
                if content != old_content:
                    changed.append([key, content])
        return value, changed

    def _next(self, iterator: Any, chunk_size: int) -> list[Any]:
        """Whether an iterator is exhausted, and its next items."""
        items: list[Any] = []
        for item in iterator:
            items.append(item)
            if len(items) >= min(chunk_size, _MAX_CHUNK):
                return [False, items]
        return [True, items]

    def _find(self, target: Any) -> Any:
        """The object of a number, or the global of a name."""
        if isinstance(target, int):
            return self._referenced[target]
        return find(self._namespace, target)

    def _reference(self, value: Any) -> Any:
        """What is sent for an object without plain content: a number that the judge can ask for."""
        self._referenced.append(value)
        return {"ref": len(self._referenced) - 1}

    def _resolve(self, reference: Any) -> Any:
        """What a reference in a request stands for: a shared object, one by number, or a global by name."""
        if type(reference) is str and reference[:1] in (JUDGE, CHILD):
            return self._shared.find(reference)
        return self._find(reference)


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "value": lambda o: o,
    "get": lambda o, name: getattr(o, name),
    "set": lambda o, name, value: setattr(o, name, value),
    "item": lambda o, key: o[key],
    "put": lambda o, key, value: o.__setitem__(key, value),
    "iterate": iter,
    "length": len,
    "true": bool,
    "text": str,
}
