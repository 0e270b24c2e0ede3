"""The way from test text to the program's objects: requests out, values and stand-ins back."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable, Set
from typing import Any

from rltf.execution.grader.lending import Loans
from rltf.execution.grader.program_classes import MirrorClass, builtin_error, error_of, mirror_of
from rltf.execution.grader.requests import Request, Requests
from rltf.execution.grader.stand_ins import (
    RemoteAsyncIterator,
    RemoteIterator,
    RemoteMethod,
    RemoteProxy,
    StandIn,
    coroutine_of,
    stand_in,
    target_of,
)
from rltf.execution.values.arguments import ReceivedContainers, take_changes
from rltf.execution.values.codec import CannotSend, Decoder, Encoder, decode, encode
from rltf.execution.values.library import MUTABLE
from rltf.execution.values.shared_objects import Packing, SharedObjects

_NEVER_RAISED = (StopIteration, StopAsyncIteration, GeneratorExit)
"""Exceptions that would end a loop of the test as if all had been asked (`all(map(candidate, inputs))`)."""
_MAY_STOP = ("one", "await", "await method")
"""Operations that say by such an exception that there is nothing more."""
_MAX_BASES = 20
_COPIES = ("global", "get", "item")
"""Operations that give a copy of something that the program keeps."""
_MAX_COPIES = 20


class UnreadableAnswer(Exception):
    """The program's answer could not be sent, or is none; the text says why."""


class ProgramLink:
    """The way to the objects of one process of a program.

    Args:
        requests: to that process.
        shared: objects of the classes that the task's setup defines, which travel as plain content.
        names: global names that the tests use.
    """

    def __init__(self, requests: Requests, shared: SharedObjects, names: Set[str]) -> None:
        self._requests = requests
        self._shared = shared
        self._names = names
        self._loans = Loans(self)
        self._class_rows: dict[int, list[Any]] = {}
        self._classes: dict[int, Any] = {}
        self._stand_ins: dict[int, Any] = {}
        """Number of an object of the program -> what stands for it here."""
        self._targets: dict[int, tuple[Any, Any]] = {}
        """Id of what stands for one and is no `StandIn` -> itself, reference."""
        self.patched = False
        """A test replaces what the program is meant to use."""
        self._streams = sys.stdin, sys.stdout, sys.stderr
        self._builtins = builtins.input, builtins.print, builtins.open
        self._copies: list[ReceivedContainers] = []
        """Containers of the program that the test has a copy of."""
        requests.lender = self

    def close(self) -> None:
        """Drops everything that the program sent or was lent; asked again, this fails."""
        vars(self).clear()

    def request(self, operation: str, target: Any, *operands: Any) -> Any:
        """The value of an operation on an object of the program."""
        packing = Packing(self._shared, self._reference)
        value = self._ask(operation, target, lambda encoder: [encode(o, encoder) for o in operands], packing)
        if type(value) in MUTABLE and operation in _COPIES and len(self._copies) < _MAX_COPIES:
            self._copies.append(ReceivedContainers([value]))
        return value

    def call(self, target: Any, args: Any, names: dict[str, Any]) -> Any:
        """The value of a call; what it changed in the lists, dicts, ... that it was given is changed here as well."""
        return self._ask("call", target, _call(args, names), Packing(self._shared, self._reference))

    def call_method(self, target: Any, name: str, args: Any, names: dict[str, Any]) -> Any:
        """The value of a call of a method."""
        return self._ask("method", target, _call(args, names, name), Packing(self._shared, self._reference))

    def is_named(self, cls: type) -> bool:
        """True for a class of the program that tests name, and for those derived from it. A name that begins with a
        small letter is a function's to whoever reads the test."""
        global_names = (getattr(base, "_rltf_global", None) for base in cls.__mro__ if isinstance(base, MirrorClass))
        return any(name in self._names and name.lstrip("_")[:1].isupper() for name in global_names if name)

    def adopt(self, mirror: Any, number: int) -> None:
        """Makes a class that a test derived the mirror of the one with that number."""
        self._classes[number] = mirror
        self._targets[id(mirror)] = mirror, number

    def give_up(self, reason: str) -> Any:
        """Makes the present test unjudgeable."""
        self._requests.give_up(reason)

    def is_failure(self, error: BaseException | None) -> bool:
        """True for an assertion of the test that failed."""
        return self._requests.is_failure(error)

    def call_back(self, message: dict[str, Any]) -> Request:
        """The reply to the program's call of an object that a test lent it."""
        packing = Packing(self._shared, self._reference)
        received: list[Any] = []
        encoder = Encoder(packing.reference, True, received)
        try:
            decoder = Decoder(self._resolve, received, number_new=True)
            self._take_tables(message)
            operands = decoder.items(message.get("args"), 0)
            names = {str(name): decode(value, decoder) for name, value in message["names"].items()}
            containers = ReceivedContainers(received)
            lent, operation = message["callback"]
            value = self._loans.do(lent, operation, operands, names)
            reply: list[Any] = ["return", None, [encode(value, encoder), containers.changes(encoder)]]
        except (Exception, SystemExit, KeyboardInterrupt) as e:
            self._requests.swallowed = self.is_failure(e)
            reply = ["raise", None, [packing.reference(e), []]]
        try:
            return [*reply, packing.table()]
        except CannotSend as e:
            self._requests.give_up(f"a test returns to the program what cannot be sent: {e}")

    def exception(self, answer: dict[str, Any], request: Request) -> BaseException:
        """The program's exception as test text sees it."""
        record = answer["error"]
        try:
            self._take_tables(answer)
            error = self._resolve(record["exception"])
        except (ValueError, KeyError, TypeError, LookupError):
            error = None
        if not isinstance(error, BaseException):
            error = UnreadableAnswer(f"{record.get('type')}: {record.get('message')}")
        if isinstance(error, _NEVER_RAISED) and request[0] not in _MAY_STOP:
            error = RuntimeError(f"the program raised {type(error).__name__}")
        return error

    def _ask(self, operation: str, target: Any, operands: Callable[[Encoder], list[Any]], packing: Packing) -> Any:
        if self.patched:
            self.give_up("the test patches what the program uses, and the program is in another process")
        if (sys.stdin, sys.stdout, sys.stderr) != self._streams:
            self.give_up("the test captures or replaces standard streams, and the program is in another process")
        if (builtins.input, builtins.print, builtins.open) != self._builtins:
            self.give_up("the test replaces builtins, and the program is in another process")
        if any(copy.changed for copy in self._copies):
            self.give_up("the test changes its copy of a list or dict of the program, which the program does not see")
        sent: list[Any] = []
        encoder = Encoder(packing.reference, True, sent, number_new=True)
        try:
            encoded = operands(encoder)
            table = packing.table()
        except CannotSend as e:
            self.give_up(f"the test passes what cannot be sent to the program: {e}")
        answer = self._requests.send([operation, target, encoded, table])
        if "unsendable" in answer:
            raise UnreadableAnswer(answer["unsendable"])
        decoder = Decoder(self._resolve, sent)
        try:
            self._take_tables(answer)
            if changes := answer.get("changed"):
                take_changes(changes, sent, decoder)
            return decode(answer["value"], decoder)
        except (ValueError, TypeError, LookupError, AttributeError) as e:
            raise UnreadableAnswer(f"a malformed answer: {e}") from None

    def _take_tables(self, message: dict[str, Any]) -> None:
        """Takes what an answer's values mention: classes of the program and shared objects."""
        for row in message.get("classes") or ():
            if type(row) is not list or len(row) != 11 or type(row[0]) is not int:
                raise ValueError("no description of a class")
            self._class_rows.setdefault(row[0], row)
        if objects := message.get("objects"):
            self._shared.absorb(objects, self._resolve)

    def _reference(self, value: Any) -> Any:
        """What is sent for an object that has no content of its own."""
        if isinstance(value, RemoteMethod):
            return {"ref": ["method", *target_of(value)]}
        if isinstance(value, StandIn):
            return {"ref": target_of(value)}
        if (entry := self._targets.get(id(value))) is not None:
            return {"ref": entry[1]}
        return {"ref": self._loans.reference(value, self._reference)}

    def _resolve(self, reference: Any) -> Any:
        """What a reference in an answer stands for."""
        if type(reference) is str:
            return self._shared.find(reference)
        number, kind, about = reference
        if number == "yours":
            return self._loans.find(kind)
        if kind == "method":
            return stand_in(RemoteMethod, self, about)
        if kind == "class":
            return self._class(number)
        proxy = self._stand_ins.get(number)
        if proxy is None:
            if type(number) is not int or number < 0:
                raise ValueError("a reference that is no number")
            proxy = self._stand_ins[number] = self._new(number, kind, about)
            if not isinstance(proxy, StandIn):
                self._targets[id(proxy)] = proxy, ["member", *about] if kind == "member" else number
        return proxy

    def _new(self, number: int, kind: str, about: Any) -> Any:
        match kind:
            case "object":
                return stand_in(self._class(about), self, number)
            case "function":
                return RemoteProxy(self, number, about[1] if type(about[1]) is int else 0)
            case "iterator":
                return RemoteIterator(self, number, about == "generator")
            case "coroutine":
                return coroutine_of(self, number)
            case "iterator of coroutines":
                return RemoteAsyncIterator(self, number)
            case "member":
                return self._class(about[0])[about[1]]
            case "exception":
                name, args, text = about
                cls = self._class(name) if type(name) is int else builtin_error(name)
                return error_of(cls, Decoder(self._resolve).items(args, 0), text, number)
            case "other":
                return StandIn(self, number)
        raise ValueError(f"no object is of the kind {kind!r:.50}")

    def _class(self, number: Any, depth: int = 0) -> Any:
        """The mirror of a class."""
        if number not in self._classes:
            row = list(self._class_rows[number])
            if depth > _MAX_BASES or type(row[3]) is not list:
                raise ValueError("a class with too many bases")
            bases = [self._class(base, depth + 1) for base in row[3]]
            if row[10] is not None:
                kind, members = row[10]
                decoder = Decoder(self._resolve)
                row[10] = [kind, [(name, decode(value, decoder)) for name, value in members]]
            self.adopt(mirror_of(row, [b for b in bases if isinstance(b, MirrorClass)], self), number)
        return self._classes[number]


def _call(args: Any, names: dict[str, Any], *method: str) -> Callable[[Encoder], list[Any]]:
    def operands(encoder: Encoder) -> list[Any]:
        keywords = {name: encode(value, encoder) for name, value in names.items()}
        return [encoder.items(args, 0), keywords, *method]

    return operands
