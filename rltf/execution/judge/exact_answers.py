"""Calls whose answers are to the byte what is expected: they have passed, and no grader is woken to say so.

The worker sends the calls itself and compares bytes, of which it reads none. Those of `call` tests it knows; those of
tests that are text a grader tells it before it first asks a program with them. Any other bytes, and any process that
takes long or ends otherwise, are the grader's to judge: it gets the answers as they came, or the process as it is.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from rltf.execution.judge.progress import TestProgress
from rltf.execution.messages import EncodedCall, JudgeTest
from rltf.execution.sandbox.message_socket import framed
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.values.codec import framed_answer
from rltf.execution.values.parts import CallsTogether, parts_of

_MAX_CALLS = 256
_MAX_BYTES = 1 << 15
"""Of calls and of answers, each: less than a socket holds."""
_MAX_TOLD_BYTES = 1 << 16
"""Of calls and of answers, each, that a grader tells; it keeps to less."""
_WAIT_SECONDS = 0.02
"""For the process to end; later it is the grader's."""
_SHARE_OF_LIMIT = 0.1
"""Of a test's time at most."""
_LATEST = 10
"""Programs over which the share that passes is taken."""
_MAX_TEST_SETS = 256
"""Test sets of `call` tests whose calls are kept."""
_NONE: frozenset[Any] = frozenset()


class ExactGroup(NamedTuple):
    """Calls that go to a program together, and their right answers, as they travel."""

    number: int
    """Of calls."""
    calls: bytes
    answers: bytes


@dataclass(frozen=True, slots=True)
class ExactCalls:
    """All calls of a program's tests and their right answers, in groups that go one after another."""

    groups: tuple[ExactGroup, ...]

    @classmethod
    def of(cls, tests: Sequence[JudgeTest]) -> Self | None:
        """Those of tests; None where one is no call, or where they are long.

        >>> ExactCalls.of((EncodedCall("f", [1], [2]), EncodedCall("f", [3], None))).groups[0].answers
        b'\\x00\\x00\\x00\\x13{"n":1,"value":[2]}\\x00\\x00\\x00\\x14{"n":2,"value":null}'
        >>> [group.number for group in ExactCalls.of((EncodedCall("f", [1], 2), EncodedCall("f", [2], 3))).groups]
        [1, 1]
        """
        groups: list[list[tuple[bytes, bytes]]] = []
        together = CallsTogether()
        size_of_calls = size_of_answers = 0
        for number, test in enumerate(tests, 1):
            if not isinstance(test, EncodedCall) or number > _MAX_CALLS:
                return None
            call = framed(["result", test.function, [test.args, {}], number == len(tests), number])
            answer = framed_answer(number, test.expected)
            size_of_calls += len(call)
            size_of_answers += len(answer)
            if max(size_of_calls, size_of_answers) > _MAX_BYTES:
                return None
            if b"NaN" in answer:  # which is equal to nothing, itself included
                return None
            inputs, answers = (parts_of(test.args), parts_of([test.expected])) if len(tests) > 1 else (_NONE, _NONE)
            if not groups or not together.may_take(len(call), inputs):
                groups.append([])
                together = CallsTogether()
            together.add(len(call), answers)
            groups[-1].append((call, answer))
        return cls(tuple(ExactGroup(len(group), *map(b"".join, zip(*group, strict=True))) for group in groups))

    @classmethod
    def told(cls, rows: Any) -> Self | None:
        """Those of tests that are text, as a grader tells them (`rltf.execution.grader.right_answers`)."""
        try:
            groups = [
                ExactGroup(int(n), base64.b64decode(calls), base64.b64decode(answers)) for n, calls, answers in rows
            ]
        except (TypeError, ValueError):
            return None
        sizes = (sum(len(group.calls) for group in groups), sum(len(group.answers) for group in groups))
        return cls(tuple(groups)) if groups and max(sizes) <= _MAX_TOLD_BYTES else None

    def ask(self, process: SandboxedProcess, program: dict[str, Any], limit: float) -> tuple[int, bool]:
        """Sends calls, group by group as long as the answers are right.

        Args:
            process: it has been sent nothing yet.
            program: the first message to it.
            limit: seconds a test.

        Returns:
            The number of calls that were sent, and whether all were answered rightly by a process that has ended.
        """
        channel = process.channel
        channel.send_bytes(framed(program) + self.groups[0].calls)
        end = time.monotonic() + min(_WAIT_SECONDS, _SHARE_OF_LIMIT * limit)
        sent, expected = self.groups[0].number, self.groups[0].answers
        for group in self.groups[1:]:
            channel.pull_bytes(len(expected) - len(channel.received), end - time.monotonic())
            if channel.received != expected:
                return sent, False
            channel.send_bytes(group.calls)
            sent += group.number
            expected += group.answers
        while (remaining := end - time.monotonic()) > 0:
            process.wait(remaining)
            if process.ended:
                return sent, channel.received == expected
        return sent, False


class KnownCalls:
    """The calls of test sets, by number."""

    def __init__(self) -> None:
        self._of_calls: dict[int, ExactCalls | None] = {}
        """Those of `call` tests, the newest only."""
        self._of_text: dict[int, ExactCalls] = {}
        """Those that the grader told of the test sets that it has."""
        self._passing = 1.0
        """Share of the latest programs with coverage and one test that passed it. One that is asked calls together and
        fails may have executed lines for calls that its test does not come to, so it runs once more."""

    def of(self, progress: TestProgress, indices: Sequence[int]) -> ExactCalls | None:
        """The calls of all tests of a program; None where a grader is to send them, where only some are to run, or
        where something else is asked of them than whether they are right."""
        plain = not (progress.answers or progress.trace) and progress.language == "python"
        plain = plain and (not progress.coverage or (len(indices) == 1 and self._passing > 0.5))
        all_run = len(indices) == len(progress.tests)
        alone = len(indices) == 1 or not progress.stop_at_first_failure
        if not (plain and all_run and alone) or len(progress.program) + len(progress.setup) > _MAX_BYTES:
            return None
        number = progress.job_tests.number
        if not isinstance(progress.tests[0], EncodedCall):
            return None if progress.setup else self._of_text.get(number)  # setup may change what text means
        if number not in self._of_calls:
            if len(self._of_calls) >= _MAX_TEST_SETS:
                self._of_calls.clear()
            self._of_calls[number] = ExactCalls.of(progress.tests)
        return self._of_calls[number]

    def count(self, progress: TestProgress) -> None:
        """Notes whether a program passed, where that says whether it is worth while to ask the next one in this way."""
        if progress.coverage and len(progress.tests) == 1:
            self._passing += (float(not progress.failed) - self._passing) / _LATEST

    def tell(self, number: int, rows: Any) -> None:
        """Takes what the grader says of a test set."""
        if (calls := ExactCalls.told(rows)) is not None:
            self._of_text[number] = calls

    def forget(self, *numbers: int) -> None:
        """The grader has these test sets no longer; the next job has other tests under such a number."""
        for number in numbers:
            self._of_calls.pop(number, None)
            self._of_text.pop(number, None)

    def forget_text(self) -> None:
        """Another grader, without any test set."""
        self._of_text.clear()
