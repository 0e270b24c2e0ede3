"""Tests that are text (`assert`, `check(candidate)`): run here, with the program's functions called in its process."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import Any

from rltf.execution.judge.outcomes import decide, program_error
from rltf.execution.judge.progress import TestProgress
from rltf.execution.grader.stand_ins import RemoteProxy, Request, as_exception
from rltf.execution.grader.text_test_code import Scope, needs_program
from rltf.execution.sandbox.limits import TEST_TEXT_FACTOR, Stop, StopReason
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.types import AssertTest, CheckTest, Outcome

_SHORTEST_WAIT = 0.001
"""Seconds; a test whose time is used up still takes an answer that is there."""


class _Hung(BaseException):
    """Test text did not come to an end."""


class _Stopped(BaseException):
    """The program stopped answering within a call."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self.stop = stop


class _Requests:
    """The requests of tests to the process that has the program.

    Args:
        process: waits for requests.
    """

    def __init__(self, process: SandboxedProcess) -> None:
        self._process = process
        self._seconds = 0.0
        """What is left of the test's time."""
        self.program_errors: dict[Exception, Any] = {}
        """Exception raised here -> record of the program's exception that it stands for."""

    def begin_test(self, seconds: float) -> None:
        """Gives the next test its time."""
        self._seconds = seconds

    def send(self, request: Request) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            _Stopped: The process stopped answering.
            Exception: The program raised one.
        """
        start = time.monotonic()
        self._process.send(request)
        answer = self._process.receive(max(self._seconds, _SHORTEST_WAIT))
        if isinstance(answer, Stop):
            raise _Stopped(answer)
        self._seconds -= time.monotonic() - start
        if isinstance(answer.get("error"), dict):
            error = as_exception(answer["error"])
            self.program_errors[error] = answer["error"]
            raise error
        return answer


def run_test_texts(sandbox: Sandbox, progress: TestProgress, indices: list[int]) -> None:
    """Runs the tests at `indices`; after a hang or a death the others go on in a fresh process."""
    remaining = list(indices)
    while remaining and not progress.over:
        progress.start_clock()
        process = sandbox.fork(replace(progress.limits, tests=len(remaining) + 1))
        setup = "" if needs_program(progress.setup) else progress.setup
        process.send({**progress.job_message, "setup": setup, "mode": "rpc"})
        answer = process.receive(progress.limits.timeout)
        if isinstance(answer, Stop):
            progress.mark(remaining.pop(0), *decide(answer, progress.finish(process), progress.limits))
        elif "syntax" in answer or "load" in answer:
            stop = Stop(StopReason.LOAD_ERROR, message=answer)
            progress.mark_undecided(*decide(stop, progress.finish(process, leaving=True), progress.limits))
        else:
            remaining = _run_in_process(progress, process, remaining)


def _run_in_process(progress: TestProgress, process: SandboxedProcess, indices: list[int]) -> list[int]:
    """Decides the tests of one process; returns those that it did not come to."""
    limits = progress.limits
    asserts = [test.code for test in progress.tests if isinstance(test, AssertTest)]
    has_checks = any(isinstance(test, CheckTest) for test in progress.tests)
    requests = _Requests(process)
    scope = Scope(requests.send, progress.setup, [] if has_checks else asserts)
    last = indices[-1]
    for n, at in enumerate(indices):
        requests.begin_test(limits.timeout)
        stop: Stop | None = None
        failure: BaseException | None = None
        try:
            with _alarm(limits.timeout * TEST_TEXT_FACTOR + 1):
                _run_text(scope, progress, at)
        except _Stopped as e:
            stop = e.stop
        except _Hung:
            stop = Stop(StopReason.TIME_LIMIT)
        except BaseException as e:
            failure = e
        if stop is not None:
            progress.mark(at, *decide(stop, progress.finish(process), limits))
            return indices[n + 1 :]
        if failure is None:
            progress.mark(at, Outcome.PASSED)
        else:
            _mark_failure(progress, at, requests, failure)
        if progress.over:
            last = at
            break
    process.hang_up()
    status, error = decide(Stop(StopReason.ANSWERED), progress.finish(process, leaving=True), limits)
    if error is not None:  # what it did behind its last answer
        progress.mark(last, status, error)
    return []


def _run_text(scope: Scope, progress: TestProgress, at: int) -> None:
    test = progress.tests[at]
    assert isinstance(test, AssertTest | CheckTest)
    scope.run(test.code)
    if isinstance(test, CheckTest):
        candidate = scope.values.get(test.entry_point)
        if not isinstance(candidate, RemoteProxy):
            candidate = RemoteProxy(scope.link, test.entry_point)
        scope.values["check"](candidate)


def _mark_failure(progress: TestProgress, at: int, requests: _Requests, failure: BaseException) -> None:
    """The program's own exception is an error of the program; any other of the test text is a wrong answer."""
    record = requests.program_errors.get(failure) if isinstance(failure, Exception) else None
    if record is None:
        progress.mark(at, Outcome.WRONG_ANSWER)
    else:
        progress.mark(at, *program_error(record))


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Ends test text after `seconds`. A loop in C (`sum` over an endless range) hears no exception: the kernel then
    ends this process (`control.STUCK_SIGNAL`), after one more second of its own time."""

    def hung(number: int, frame: FrameType | None) -> None:
        raise _Hung

    signal.signal(signal.SIGALRM, hung)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds + 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
