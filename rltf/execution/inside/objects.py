"""The child's side of calls by RPC: live objects stay here, the judge holds numbers for them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from types import CodeType
from typing import Any

from rltf.execution.inside import error_location
from rltf.execution.inside.channel import Channel
from rltf.execution.inside.entry_point import find
from rltf.execution.values.codec import CannotSend, decode, encode
from rltf.execution.values.shared_objects import CHILD, JUDGE, Packing, Shared

_MUTABLE = (list, dict, set, bytearray)
_CHUNK = 256


class Objects:
    """Answers the judge's requests `[operation, target, values, shared objects]` on the program's objects."""

    def __init__(self, namespace: dict[str, Any], code: CodeType, classes: dict[str, type]) -> None:
        self._namespace = namespace
        self._code = code
        self._shared = Shared(classes, CHILD)
        self._held: list[Any] = []

    def serve(self, channel: Channel, expected: list[list[Any]], more: bool) -> None:
        """Answers until the judge hangs up. The first message says that the program is loaded.

        The judge knows from earlier programs what it will ask, test by test: `expected`. Those requests are answered
        unasked, the answers of one test in one go; unless there may be `more`, that is all.
        """
        channel.send({"loaded": True}, hold=any(expected))
        for requests in expected:
            for at, request in enumerate(requests, start=1):
                channel.send(self._answer(request), hold=at < len(requests))
        while more and (request := channel.receive()) is not None:
            channel.send(self._answer(request))

    def _answer(self, request: list[Any]) -> dict[str, Any]:
        operation, target, rest, table = request
        packing = Packing(self._shared, self._hold)
        try:
            self._shared.absorb(table, self._resolve)
            value, changed = self._do(operation, self._find(target), rest, packing)
        except BaseException as e:
            return {"error": error_location.runtime(e, self._code)}
        try:
            answer = {"value": encode(value, packing.reference)} | ({"changed": changed} if changed else {})
            for key, _, _ in table:
                packing.reference(self._shared.find(key))  # an argument, which may have changed
            objects = packing.table(known=table)
        except CannotSend as e:
            return {"unsendable": str(e)}
        return answer | {"objects": objects} if objects else answer

    def _do(self, operation: str, target: Any, rest: list[Any], packing: Packing) -> tuple[Any, list[Any]]:
        if operation == "call":
            args, names = rest
            return self._call(target, args, names, packing)
        if operation == "next":
            return self._next(target, rest[0]), []
        arguments = [decode(r, self._resolve) for r in rest]
        return _OPERATIONS[operation](target, *arguments), []

    def _call(self, function: Any, args: list[Any], names: dict[str, Any], packing: Packing) -> tuple[Any, list[Any]]:
        values = [decode(a, self._resolve) for a in args]
        named = {k: decode(v, self._resolve) for k, v in names.items()}
        value = function(*values, **named)
        changed = []
        for at, sent, now in (*zip(count(), args, values), *zip(named, names.values(), named.values(), strict=True)):
            if type(now) in _MUTABLE:
                try:
                    after = encode(now, packing.reference)
                except CannotSend:
                    continue
                if after != sent:
                    changed.append([at, after])
        return value, changed

    def _next(self, iterator: Any, wanted: int) -> list[Any]:
        items: list[Any] = []
        for item in iterator:
            items.append(item)
            if len(items) >= min(wanted, _CHUNK):
                return [False, items]
        return [True, items]

    def _find(self, target: Any) -> Any:
        if isinstance(target, int):
            return self._held[target]
        return find(self._namespace, target)

    def _hold(self, value: Any) -> Any:
        self._held.append(value)
        return {"ref": len(self._held) - 1}

    def _resolve(self, number: Any) -> Any:
        if type(number) is str and number[:1] in (JUDGE, CHILD):
            return self._shared.find(number)
        return self._find(number)


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
