"""The child's end of test text: the program's objects stay here, the judge has numbers for them.

A request is `[operation, target, operands, shared objects, number]`, an answer a dict with the same number `n`. In the
middle of a request the program may call what a test lent it: then a `callback` goes out, and requests are answered
until the judge returns or raises.
"""

from __future__ import annotations

import threading
from types import CodeType
from typing import Any

from rltf.execution.inside import error_location
from rltf.execution.inside.channel import Channel
from rltf.execution.inside.entry_point import find
from rltf.execution.inside.lent import LentObjects
from rltf.execution.inside.operations import OPERATIONS, Chunks
from rltf.execution.inside.references import References
from rltf.execution.values.arguments import ReceivedContainers, take_changes
from rltf.execution.values.codec import CannotSend, Decoder, Encoder, decode, encode
from rltf.execution.values.shared_objects import CHILD, JUDGE, Packing, SharedObjects

_PLAIN = frozenset({type(None), bool, int, float, str})
_Answer = dict[str, Any]


class _HasReference(CannotSend):
    """A value holds an object that has no content of its own."""


def _refuse(value: Any) -> Any:
    raise _HasReference


def _content(value: Any, containers: ReceivedContainers | None, encoder: Encoder, number: int) -> _Answer:
    """The answer that holds a value and what changed in containers.

    Raises:
        CannotSend: One of them cannot be sent.
    """
    answer: _Answer = {"n": number, "value": encode(value, encoder)}
    if containers is not None and (changes := containers.changes(encoder)):
        answer["changed"] = changes
    return answer


class Objects:
    """Answers the judge's requests on the program's objects."""

    def __init__(self, namespace: dict[str, Any], code: CodeType, classes: dict[str, type]) -> None:
        self._namespace = namespace
        self._code = code
        self._classes = classes
        self._channel: Any = None
        self._number = 0
        self._prepared = False

    def serve(self, channel: Channel) -> None:
        """Answers until the judge hangs up."""
        self._channel = channel
        while (request := channel.receive()) is not None:
            if request[0] == "result":
                self._send_result(request[1], request[2][0], request[-1])
                if request[3]:  # the last one
                    return
            elif request[0] == "call" and type(request[1]) is str and not request[3]:
                self._send_call(request[1], request[2], request[-1])
            else:
                self._serve(request)

    def _prepare(self) -> None:
        """Makes what objects need that have no plain content; calls of plain values touch fewer pages without it."""
        if self._prepared:
            return
        self._prepared = True
        self._shared = SharedObjects(self._classes, CHILD)
        self._lent = LentObjects(self._call_back)
        self._references = References(self._namespace, self._lent.number)
        self._chunks: Chunks | None = None
        self._loop: Any = None
        self._lock: Any = None

    def _serve(self, request: list[Any]) -> None:
        self._number = request[-1]
        if request[0] == "ping":
            self._channel.send_value(None, request[-1])
        else:
            self._prepare()
            self._channel.send(self._answer(*request))

    def _send_result(self, name: str, args: list[Any], number: int) -> None:
        """Calls a function of the program and sends what it returns, as plain content."""
        channel = self._channel
        try:
            if not _PLAIN.issuperset(map(type, args)):
                args = decode(args)
            value = find(self._namespace, name)(*args)
        except BaseException as e:
            channel.send({"n": number, "error": error_location.runtime(e, self._code)})
            return
        try:
            encoded = encode(value)
        except CannotSend as e:
            channel.send({"n": number, "unsendable": str(e)})
            return
        channel.send_value(encoded, number)

    def _send_call(self, name: str, operands: list[Any], number: int) -> None:
        """Calls a function of the program and sends what it returns, and what it changed in its arguments."""
        self._number = number
        args, names = operands
        received: list[Any] = []
        containers = None
        try:
            function = find(self._namespace, name)
            if names or not _PLAIN.issuperset(map(type, args)):
                decoder = Decoder(self._resolve, received, number_new=True)
                args = [decode(value, decoder) for value in args]
                names = {word: decode(value, decoder) for word, value in names.items()}
                containers = ReceivedContainers(received) if received else None
            value = function(*args, **names)
        except BaseException as e:
            self._prepare()
            self._channel.send(self._error(e, number))
            return
        if containers is None and type(value) in _PLAIN:
            self._channel.send_value(encode(value), number)
            return
        try:
            answer = _content(value, containers, Encoder(_refuse, True, received), number)
        except _HasReference:
            self._prepare()
            answer = self._result(value, received, containers, [], number)
        except CannotSend as e:
            answer = {"n": number, "unsendable": str(e)}
        self._channel.send(answer)

    def _answer(self, operation: str, target: Any, operands: list[Any], table: list[Any], number: int) -> _Answer:
        """The answer to any other request."""
        received: list[Any] = []
        containers = None
        try:
            if table:
                self._shared.absorb(table, self._resolve)
            decoder = Decoder(self._resolve, received, number_new=True)
            if operation == "call" or operation == "method":
                function = self._find(target) if operation == "call" else getattr(self._find(target), operands[2])
                args = [decode(value, decoder) for value in operands[0]]
                names = {name: decode(value, decoder) for name, value in operands[1].items()}
                containers = ReceivedContainers(received) if received else None
                value = function(*args, **names)
            else:
                value = self._do(operation, self._find(target), [decode(value, decoder) for value in operands])
        except BaseException as e:
            return self._error(e, number)
        if containers is None and not table and type(value) in _PLAIN:
            return {"n": number, "value": encode(value)}
        return self._result(value, received, containers, table, number)

    def _result(
        self, value: Any, received: list[Any], containers: ReceivedContainers | None, table: list[Any], number: int
    ) -> _Answer:
        """The answer that holds a value, and what a call changed in its arguments."""
        packing = Packing(self._shared, self._reference)
        try:
            answer = _content(value, containers, Encoder(packing.reference, True, received), number)
            return self._packed(answer, packing, table)
        except CannotSend as e:
            return {"n": number, "unsendable": str(e)}

    def _packed(self, message: _Answer, packing: Packing, table: list[Any]) -> _Answer:
        """A message with what its values mention beside it: shared objects, and classes of the program."""
        for key, _, _ in table:
            packing.reference(self._shared.find(key))  # an argument, which may have changed
        if objects := packing.table(receiver_has=table):
            message["objects"] = objects
        if classes := self._references.class_rows(Encoder(packing.reference, True)):
            message["classes"] = classes
        return message

    def _error(self, error: BaseException, number: int) -> _Answer:
        record = error_location.runtime(error, self._code)
        packing = Packing(self._shared, self._reference)
        try:
            record["exception"] = self._reference(error)["ref"]
            return self._packed({"n": number, "error": record}, packing, [])
        except BaseException:  # the program's own methods
            return {"n": number, "error": error_location.runtime(error, self._code)}

    def _do(self, operation: str, target: Any, operands: list[Any]) -> Any:
        """The value of an operation."""
        match operation:
            case "next":
                self._chunks = self._chunks or Chunks()
                return self._chunks.next(target, operands[0])
            case "await":
                return self._run(target)
            case "await method":
                name, args = operands
                return self._run(getattr(type(target), name)(target, *args))
        return OPERATIONS[operation](target, *operands)

    def _run(self, awaitable: Any) -> Any:
        """The value of an awaitable, awaited to its end."""

        import asyncio  # which no other program pays for

        async def wait() -> Any:
            return await awaitable

        self._loop = self._loop or asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        return self._loop.run_until_complete(wait())

    def _call_back(self, lent: int, operation: str, operands: list[Any], names: dict[str, Any]) -> Any:
        """Has the judge do an operation on what it lent to the program."""
        self._lock = self._lock or threading.RLock()
        with self._lock:
            sent: list[Any] = []
            packing = Packing(self._shared, self._reference)
            encoder = Encoder(packing.reference, True, sent, number_new=True)
            message = {"n": self._number, "callback": [lent, operation]}
            message["args"] = encoder.items(operands, 0)
            message["names"] = {name: encode(value, encoder) for name, value in names.items()}
            number = self._number
            self._channel.send(self._packed(message, packing, []))
            while (reply := self._channel.receive()) is not None and reply[0] not in ("return", "raise"):
                self._serve(reply)
            self._number = number
            if reply is None:
                raise RuntimeError("what a test passes can be called by the first process of the program alone")
            return self._take(reply, sent)

    def _take(self, reply: list[Any], sent: list[Any]) -> Any:
        """The value of what the judge returned, or the exception that it raised."""
        outcome, _, (encoded, changes), table, _ = reply
        self._shared.absorb(table, self._resolve)
        decoder = Decoder(self._resolve, sent)
        take_changes(changes, sent, decoder)
        value = decode(encoded, decoder)
        if outcome == "raise":
            raise value
        return value

    def _find(self, target: Any) -> Any:
        """The object of a number, the global of a name, or a member of an Enum."""
        if type(target) is int:
            return self._references.find(target)
        if type(target) is list:
            return self._references.find(target[0])[target[1]]
        return find(self._namespace, target)

    def _reference(self, value: Any) -> Any:
        return self._references.encode(value, Encoder(self._reference, True))

    def _resolve(self, reference: Any) -> Any:
        """What a reference in a request stands for."""
        self._prepare()
        if type(reference) is list:
            kind, number = reference[:2]
            if kind == "member":
                return self._find([number, reference[2]])
            if kind == "method":
                return getattr(self._references.find(number), reference[2])
            return self._lent.object(*reference, resolve=self._resolve)
        if type(reference) is str and reference[:1] in (JUDGE, CHILD):
            return self._shared.find(reference)
        return self._find(reference)
