"""Tests that are text (`assert`, `check(candidate)`): run here, with the program's functions called in the child."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any

from rltf.execution.judge.outcomes import (
    close_after_end,
    close_after_limit,
    close_program,
    finish_process,
    program_error,
)
from rltf.execution.judge.progress import TestProgress
from rltf.execution.judge.stand_ins import RemoteProxy, as_exception
from rltf.execution.judge.test_code import Scope, needs_program
from rltf.execution.sandbox.limits import OutputLimitExceeded, TimeLimitExceeded
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox

_JUDGE_SHARE = 4.0
"""Test text may run, calls included, this many times the program's limit."""


class _Hung(BaseException):
    """Test text did not come to an end."""


class _Gone(BaseException):
    """The child ended within a call."""


class _Stopped(BaseException):
    """The child ran over a limit within a call."""

    def __init__(self, limit: TimeLimitExceeded | OutputLimitExceeded) -> None:
        super().__init__(limit)
        self.limit = limit


class TraceMismatch(BaseException):
    """The test asked for something else than with earlier programs."""


_MAX_EXPECTED = 1000
"""Requests of one test that are made ahead."""


@dataclass(frozen=True)
class RequestTrace:
    """What a test asked of an earlier program; kept behind the test's own fields."""

    requests: list[list[Any]]
    whole: bool
    """The test asks nothing else."""


_NOTHING = RequestTrace([], False)


class _Line:
    """Requests to one child, on one test's time."""

    def __init__(self, child: SandboxedProcess, more: bool) -> None:
        self._child = child
        self.left = 0.0
        self.raised: dict[Exception, Any] = {}
        self.expected: list[list[Any]] = []
        """What this test asks as far as it is known; the child answers it unasked."""
        self.more = more
        """The child takes further requests."""
        self.asked: list[list[Any]] = []

    def begin(self, expected: list[list[Any]], seconds: float) -> None:
        """The next test begins."""
        self.expected, self.asked, self.left = expected, [], seconds

    def skip(self) -> None:
        """Takes in the answers that the test did not wait for.

        Raises:
            _Stopped, _Gone: As `ask`.
        """
        while len(self.asked) < len(self.expected):
            with suppress(Exception):
                self.ask(self.expected[len(self.asked)])

    def learn(self) -> RequestTrace:
        """The requests that will be the same with other programs: calls with plain arguments, up to the first other."""
        known = []
        for request in self.asked[:_MAX_EXPECTED]:
            if request[0] != "call" or type(request[1]) is not str or _mentions_live(request):
                break
            known.append(request)
        return RequestTrace(known, len(known) == len(self.asked))

    def ask(self, request: list[Any]) -> dict[str, Any]:
        start = time.monotonic()
        at = len(self.asked)
        self.asked.append(request)
        if at >= len(self.expected):
            if not self.more:
                raise TraceMismatch
            self._child.send(request)
        elif request != self.expected[at]:
            raise TraceMismatch
        try:
            answer = self._child.receive(max(self.left, 0.001))
        except (TimeLimitExceeded, OutputLimitExceeded) as e:
            raise _Stopped(e) from None
        self.left -= time.monotonic() - start
        if answer is None:
            raise _Gone
        if isinstance(answer.get("error"), dict):
            error = as_exception(answer["error"])
            self.raised[error] = answer["error"]
            raise error
        return answer


def run_test_texts(slot: Sandbox, sheet: TestProgress, indices: list[int]) -> None:
    """Runs the tests at `indices`; after a hang or a death the rest goes on in a fresh child."""
    left = list(indices)
    ahead = True
    while left and not sheet.over:
        sheet.start()
        cpu = math.ceil(sheet.limits.timeout * (len(left) + 1)) + 1
        child = slot.fork(replace(sheet.limits, cpu_seconds=cpu))
        known = [_known(sheet.tests[at]) if ahead else _NOTHING for at in left]
        calls, more = [k.requests for k in known], not all(k.whole for k in known)
        setup = "" if needs_program(sheet.setup) else sheet.setup
        child.send({**sheet.job, "setup": setup, "mode": "rpc", "calls": calls, "more": more})
        try:
            answer = child.receive(sheet.limits.timeout)
        except (TimeLimitExceeded, OutputLimitExceeded) as e:
            close_after_limit(sheet, child, left.pop(0), e)
            continue
        if answer is None:
            close_after_end(sheet, child, left.pop(0))
            continue
        if "syntax" in answer or "load" in answer:
            end = child.finish()
            sheet.cpu += end.seconds
            close_program(sheet, answer, end)
            return
        try:
            left = _in_one_child(sheet, child, left, calls, more)
        except TraceMismatch:
            sheet.cpu += child.finish().seconds
            left, ahead = [at for at in left if sheet.status[at] is None], False


def _mentions_live(data: Any) -> bool:
    """True when a request passes an object of one child's own; shared objects have the same keys in every child."""
    if type(data) is dict and type(data.get("ref")) is int:
        return True
    return type(data) in (list, dict) and any(map(_mentions_live, data.values() if type(data) is dict else data))


def _known(test: list[Any]) -> RequestTrace:
    return test[-1] if isinstance(test[-1], RequestTrace) else _NOTHING


def export_trace(tests: list[list[Any]]) -> bytes:
    """What a test set asks of every program, for the other workers; empty until a program has passed it."""
    known = [test[-1] for test in tests if isinstance(test[-1], RequestTrace)]
    return json.dumps([[k.requests, k.whole] for k in known]).encode() if known and len(known) == len(tests) else b""


def import_trace(tests: list[list[Any]], text: bytes) -> None:
    """Takes over what another worker has `export_trace`."""
    for test, (requests, whole) in zip(tests, json.loads(text), strict=True):
        if not isinstance(test[-1], RequestTrace):
            test.append(RequestTrace(requests, whole))


def _learn(test: list[Any], line: _Line) -> None:
    if not isinstance(test[-1], RequestTrace):
        test.append(line.learn())


def _in_one_child(
    sheet: TestProgress, child: SandboxedProcess, left: list[int], calls: list[list[Any]], more: bool
) -> list[int]:
    line = _Line(child, more)
    asserts = [test[1] for test in sheet.tests if test[0] == "assert"]
    scope = Scope(line.ask, sheet.setup, [] if any(test[0] == "check" for test in sheet.tests) else asserts)
    for n, at in enumerate(left):
        line.begin(calls[n], sheet.limits.timeout)
        try:
            with _alarm(sheet.limits.timeout * _JUDGE_SHARE + 1):
                _run(scope, line, sheet.tests[at])
                passed: BaseException | None = None
        except _Stopped as e:
            close_after_limit(sheet, child, at, e.limit)
            return left[n + 1 :]
        except _Gone:
            close_after_end(sheet, child, at)
            return left[n + 1 :]
        except _Hung:
            close_after_limit(sheet, child, at, TimeLimitExceeded(None))
            return left[n + 1 :]
        except TraceMismatch:
            sheet.tests[at][-1] = _NOTHING
            raise
        except BaseException as e:
            passed = e
        if passed is None:
            _learn(sheet.tests[at], line)
            sheet.mark(at, "passed")
        else:
            _mark_failure(sheet, at, line, passed)
        if sheet.over:
            left = left[: n + 1]
            break
        try:
            line.skip()
        except (_Stopped, _Gone):
            sheet.cpu += child.finish().seconds
            return left[n + 1 :]
    finish_process(sheet, child, left[-1], leaving=not more)
    return []


def _run(scope: Scope, line: _Line, test: list[Any]) -> None:
    scope.run(test[1])
    if test[0] == "check":
        candidate = scope.values.get(test[2])
        if not isinstance(candidate, RemoteProxy):
            candidate = RemoteProxy(scope.border, test[2])
        scope.values["check"](candidate)


def _mark_failure(sheet: TestProgress, at: int, line: _Line, error: BaseException) -> None:
    """The program's own exception is an error of the program; any other of the test text is a wrong answer."""
    record = line.raised.get(error) if isinstance(error, Exception) else None
    if record is None:
        sheet.mark(at, "wrong_answer")
    else:
        sheet.mark(at, *program_error(record))


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Ends test text after `seconds`. A loop in C (`sum` over an endless range) hears no exception: the kernel then
    ends this process (`protocol.STUCK_SIGNAL`), after one more second of its own time."""

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
