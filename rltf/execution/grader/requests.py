"""The requests of tests to the process that has the program."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rltf.execution.grader.stand_ins import Request, as_exception


class ProgramStopped(BaseException):
    """The program's process is gone."""


class Unjudgeable(BaseException):
    """A test asks what cannot be asked from outside the program's process; the text says what."""


class Requests:
    """The requests of tests to the process that has the program.

    Args:
        send: sends a message to the process.
        receive: waits for its answer; both raise `ProgramStopped` when it is gone.
    """

    def __init__(self, send: Callable[[Any], None], receive: Callable[[], dict[str, Any]]) -> None:
        self._send, self._receive = send, receive
        self.stopped = False
        """The process is gone."""
        self.broken = False
        """A request went out whose answer nobody has read."""
        self.count = 0
        """Requests of the present test."""
        self.unjudgeable: str | None = None
        """Why the present test cannot be judged, or None."""
        self._program_errors: dict[int, tuple[BaseException, Any]] = {}

    def begin_test(self) -> None:
        """Another test begins."""
        self.count = 0
        self.unjudgeable = None

    def send(self, request: Request) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            ProgramStopped: The process is gone, or its next answer would belong to another request.
            Exception: The program raised one.
        """
        if self.stopped or self.broken:
            raise ProgramStopped
        self.count += 1
        self.broken = True
        try:
            self._send(request)
            answer = self._receive()
        except ProgramStopped:
            self.stopped, self.broken = True, False
            raise
        self.broken = False
        if isinstance(answer.get("error"), dict):
            error = as_exception(answer["error"])
            self._program_errors[id(error)] = error, answer["error"]
            raise error
        return answer

    def program_error(self, error: BaseException) -> dict[str, Any] | None:
        """The record of the program's exception for which an exception of a test stands; None for others."""
        known, record = self._program_errors.get(id(error), (None, None))
        return record if known is error else None
