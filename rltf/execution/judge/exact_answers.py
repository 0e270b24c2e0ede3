"""Calls whose answers are to the byte what is expected: they have passed, and no grader is woken to say so.

The worker sends the calls itself and compares bytes, of which it reads none. Any other bytes, and any process that
takes long or ends otherwise, are the grader's to judge: it gets the answers as they came, or the process as it is.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from rltf.execution.judge.progress import TestProgress
from rltf.execution.messages import EncodedCall, JudgeTest
from rltf.execution.sandbox.message_socket import framed
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.values.parts import may_go_together, parts_of

_MAX_CALLS = 256
_MAX_BYTES = 1 << 15
"""Of calls and of answers, each: less than a socket holds."""
_WAIT_SECONDS = 0.01
"""For the process to end; later it is the grader's."""
_SHARE_OF_LIMIT = 0.1
"""Of a test's time at most."""
_MAX_TEST_SETS = 256
"""Test sets whose calls are kept."""
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ExactCalls:
    """Calls and their right answers as they travel."""

    calls: bytes
    answers: bytes

    @classmethod
    def of(cls, tests: Sequence[JudgeTest]) -> Self | None:
        """The calls of tests; None where one is no call, where they are long, or where an input of one would be the
        answer to another, which the program could read.

        >>> calls = ExactCalls.of((EncodedCall("f", [1], [2]), EncodedCall("f", [3], None)))
        >>> calls.answers
        b'\\x00\\x00\\x00\\x13{"n":1,"value":[2]}\\x00\\x00\\x00\\x14{"n":2,"value":null}'
        >>> ExactCalls.of((EncodedCall("f", [1], 2), EncodedCall("f", [2], 3))) is None
        True
        """
        calls, answers = bytearray(), bytearray()
        rows = []
        for number, test in enumerate(tests, 1):
            if not isinstance(test, EncodedCall) or number > _MAX_CALLS:
                return None
            calls += framed(["result", test.function, [test.args, {}], number == len(tests), number])
            answer = b'{"n":%d,"value":%s}' % (number, _encode(test.expected).encode())
            answers += len(answer).to_bytes(4, "big") + answer
            rows.append(test)
            if len(calls) > _MAX_BYTES or len(answers) > _MAX_BYTES:
                return None
        if b"NaN" in answers:  # which is equal to nothing, itself included
            return None
        if len(rows) > 1 and not may_go_together(
            [parts_of(test.args) for test in rows], [parts_of([test.expected]) for test in rows]
        ):
            return None
        return cls(bytes(calls), bytes(answers))

    def are_right(self, process: SandboxedProcess, program: dict[str, Any], limit: float) -> bool:
        """True when a process ends soon and has answered rightly.

        Args:
            process: it has been sent nothing yet.
            program: the first message to it.
            limit: seconds a test.
        """
        channel = process.channel
        channel.send_bytes(framed(program) + self.calls)
        end = time.monotonic() + min(_WAIT_SECONDS, _SHARE_OF_LIMIT * limit)
        while not process.ended and (remaining := end - time.monotonic()) > 0:
            process.wait(remaining)
        return process.ended and channel.received == self.answers


class KnownCalls:
    """The calls of test sets, by number; the newest only."""

    def __init__(self) -> None:
        self._calls: dict[int, ExactCalls | None] = {}

    def of(self, progress: TestProgress, indices: Sequence[int]) -> ExactCalls | None:
        """The calls of all tests of a program; None where a grader is to send them, where only some are to run, or
        where something else is asked of them than whether they are right."""
        plain = not (progress.answers or progress.coverage or progress.trace) and progress.language == "python"
        all_run = len(indices) == len(progress.tests)
        alone = len(indices) == 1 or not progress.stop_at_first_failure
        if not (plain and all_run and alone) or len(progress.program) + len(progress.setup) > _MAX_BYTES:
            return None
        number = progress.test_set
        if number not in self._calls:
            if len(self._calls) >= _MAX_TEST_SETS:
                self._calls.clear()
            self._calls[number] = ExactCalls.of(progress.tests)
        return self._calls[number]

    def forget(self, number: int) -> None:
        """The next job has other tests under this number."""
        self._calls.pop(number, None)
