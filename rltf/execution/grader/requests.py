"""The requests of tests to the process that has the program."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn, Protocol

Request = list[Any]
"""Operation, target, operands, shared objects (`rltf.execution.inside.objects`)."""
_MAX_NESTING = 60
"""Requests within calls of what a test lent, within requests ..."""
_MAX_TEXT, _MAX_CLASSES = 500, 20


def reported(record: Any) -> dict[str, Any]:
    """What the worker is told of an error of the program: no more than a verdict shows, whatever its process sent."""
    row = record if type(record) is dict else {}
    report = {key: row[key] for key in ("line", "end_line", "incomplete") if type(row.get(key)) in (int, bool)}
    report |= {key: row[key][:_MAX_TEXT] for key in ("type", "message") if type(row.get(key)) is str}
    if type(classes := row.get("classes")) is list:
        report["classes"] = [name[:_MAX_TEXT] for name in classes[:_MAX_CLASSES] if type(name) is str]
    return report


class ProgramStopped(BaseException):
    """The program's process is gone."""


class ConnectionBroken(BaseException):
    """The next answer of the program's process would belong to another request."""


class Diverged(BaseException):
    """A test made another request than the one that was sent for it."""


class Unjudgeable(BaseException):
    """A test asks what cannot be asked from outside the program's process; the text says what."""


class ProgramError(Exception):
    """Stands for an exception of the program."""


class Lender(Protocol):
    """What test text lent to the program, and what it sees of the program's exceptions."""

    def call_back(self, message: dict[str, Any]) -> Request:
        """The reply to the program's call of an object that it was lent."""

    def exception(self, answer: dict[str, Any], request: Request) -> BaseException:
        """What the program's exception is for the test."""


class Requests:
    """The requests of tests to the process that has the program, one at a time but for those that are sent together.

    An exception that stops one on its way (the program is gone; a test asks too much) is raised again by every later
    request, so that a test cannot lose it in a bare `except`.

    Args:
        send: sends messages to the process, none where it has the request already, and notes that it has the word.
        receive: waits for its answer; both raise `ProgramStopped` when it is gone.
    """

    def __init__(self, send: Callable[[list[Request]], None], receive: Callable[[], dict[str, Any]]) -> None:
        self._send, self._receive = send, receive
        self.stopped = False
        """The process is gone."""
        self.broken = False
        """A request went out whose answer nobody has read."""
        self.diverged = False
        """A test made another request than the one that was sent for it."""
        self.count = 0
        """Requests of the present test."""
        self.unjudgeable: str | None = None
        """Why the present test cannot be judged, or None."""
        self.unsendable: str | None = None
        """Why an answer of the present test could not be sent or read, or None."""
        self.swallowed = False
        """An assertion of the present test failed in what it lent to the program, which has kept that to itself."""
        self.lender: Lender | None = None
        """None: nothing is lent, and what exceptions the program raised does not matter."""
        self._lock = threading.RLock()
        """Threads of a test take turns."""
        self._number = 0
        self._groups: deque[list[Request]] = deque()
        """Requests that are sent together once the first of them is made, group after group."""
        self._in_flight: deque[tuple[int, Request]] = deque()
        """Number and request of those that were sent and not made yet."""
        self._hung_up = False
        """The process was told that nothing more will be asked."""
        self._nesting = 0
        self._program_errors: dict[int, tuple[BaseException, Any]] = {}

    def begin_test(self) -> None:
        """Another test begins."""
        self.count = 0
        self.unjudgeable = self.unsendable = None
        self.swallowed = False
        self._program_errors.clear()

    def pipeline(self, groups: Iterable[list[Request]]) -> None:
        """Sends the requests of each group together once the first of them is made, as long as no other one is."""
        self._groups = deque(groups)

    def take_sent(self, requests: Sequence[Request], hung_up: bool) -> None:
        """These were sent before, with the numbers 1, 2, ...

        Args:
            requests: that were sent.
            hung_up: the process was told that nothing more will be asked.
        """
        self._in_flight.extend(enumerate(requests, 1))
        self._number = len(requests)
        self._hung_up = hung_up

    @property
    def planned(self) -> bool:
        """True while it is known which request comes next."""
        return bool(self._in_flight or self._groups)

    @property
    def unread(self) -> bool:
        """True when the process was sent what no test has asked."""
        return bool(self._in_flight)

    def send(self, request: Request) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            ProgramStopped: The process is gone.
            ConnectionBroken: Nobody knows what it would answer to.
            Diverged: The process was sent another one in its place.
            Unjudgeable: The present test asked too much before.
            Exception: The program raised one.
        """
        with self._lock:
            return self._exchange(request)

    def _exchange(self, request: Request) -> dict[str, Any]:
        if self.stopped:
            raise ProgramStopped
        if self.broken:
            raise ConnectionBroken
        if self.diverged:
            raise Diverged
        if self.unjudgeable is not None:
            raise Unjudgeable(self.unjudgeable)
        self.count += 1
        number, messages = self._next_numbered(request)
        self.broken = True
        try:
            self._send(messages)
            answer = self._receive()
            while "callback" in answer and answer.get("n") == number:
                if self._in_flight:  # it would take the next request for our reply
                    self._diverge()
                self._send([[*self._reply(answer), number]])
                answer = self._receive()
        except ProgramStopped:
            self.stopped, self.broken = True, False
            raise
        if answer.get("n") == number:
            self.broken = False
        elif "unsendable" not in answer:
            raise ConnectionBroken
        if "unsendable" in answer:
            self.unsendable = str(answer["unsendable"])
        elif isinstance(answer.get("error"), dict):
            raise self._error(answer, request)
        return answer

    def _next_numbered(self, request: Request) -> tuple[int, list[Request]]:
        """Number of a request, and what is to be sent: it and those that go with it; nothing if it was sent before."""
        if self._in_flight:
            number, sent = self._in_flight.popleft()
            if sent != request:
                self._diverge()
            return number, []
        if self._hung_up:
            self._diverge()
        if self._groups and (self._nesting or self._groups[0][0] != request):
            self._groups.clear()
        together = self._groups.popleft() if self._groups else [request]
        number = self._number + 1
        self._number += len(together)
        self._in_flight.extend(enumerate(together[1:], number + 1))
        return number, [[*member, n] for n, member in enumerate(together, number)]

    def _diverge(self) -> NoReturn:
        self.diverged = True
        raise Diverged

    def close(self) -> None:
        """Sends nothing more."""
        self.stopped, self.lender = True, None
        self._program_errors.clear()

    def give_up(self, reason: str) -> NoReturn:
        """Ends the present test: it asks what cannot be asked.

        Raises:
            Unjudgeable: Always.
        """
        self.unjudgeable = self.unjudgeable or reason
        raise Unjudgeable(reason)

    def program_error(self, error: BaseException) -> dict[str, Any] | None:
        """What is told of the program's exception for which an exception of a test stands; None for others."""
        original, record = self._program_errors.get(id(error), (None, None))
        return reported(record) if original is error else None

    def is_failure(self, error: BaseException | None) -> bool:
        """True for an assertion of the test, not of the program, that failed."""
        return isinstance(error, AssertionError) and self.program_error(error) is None

    def _reply(self, message: dict[str, Any]) -> Request:
        """What becomes of the program's call of something that the test lent it."""
        if self.lender is None:
            raise ConnectionBroken
        if self._nesting >= _MAX_NESTING:
            self.give_up(f"program and test call each other more than {_MAX_NESTING} levels deep")
        self._nesting += 1
        self.broken = False
        try:
            return self.lender.call_back(message)
        finally:
            self.broken = True
            self._nesting -= 1

    def _error(self, answer: dict[str, Any], request: Request) -> BaseException:
        record = answer["error"]
        if self.lender is None:
            error: BaseException = ProgramError(record.get("message"))
        else:
            error = self.lender.exception(answer, request)
        of_test = isinstance(record.get("exception"), list) and record["exception"][:1] == ["yours"]
        if of_test and isinstance(error, AssertionError):
            self.swallowed = False
        else:
            self._program_errors[id(error)] = error, record
        return error
