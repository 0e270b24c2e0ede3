"""Calls whose answers are to the byte what is expected: they have passed, and no grader is woken to say so.

The worker sends the calls itself and compares bytes, of which it reads none. Any other bytes, and any process that
takes long or ends otherwise, are the grader's to judge: it gets the answers as they came, or the process as it is.
"""

from __future__ import annotations

import json
import marshal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from rltf.execution.judge.progress import TestProgress
from rltf.execution.messages import EncodedCall
from rltf.execution.sandbox.process import SandboxedProcess

_MAX_CALLS = 256
_MAX_BYTES = 1 << 15
"""Of calls and of answers, each: less than a socket holds."""
_WAIT_SECONDS = 0.02
"""For the process to end; later it is the grader's."""
_SHARE_OF_LIMIT = 0.1
"""Of a test's time at most."""
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class ExactCalls:
    """Calls and their right answers as they travel."""

    calls: bytes
    answers: bytes

    @classmethod
    def of(cls, progress: TestProgress, indices: Sequence[int]) -> Self | None:
        """The calls of tests; None where one is no call, where something else is asked of them, or where they are long.

        >>> calls = (EncodedCall("f", [1], [2]), EncodedCall("f", [3], None))
        >>> from rltf.execution.sandbox.limits import Limits
        >>> progress = TestProgress("", "", calls, 0, Limits(1.0, 1 << 20, 1 << 10))
        >>> ExactCalls.of(progress, [0, 1]).answers
        b'\\x00\\x00\\x00\\x13{"n":1,"value":[2]}\\x00\\x00\\x00\\x14{"n":2,"value":null}'
        """
        tests = [progress.tests[at] for at in indices]
        alone = len(tests) == 1 or not progress.stop_at_first_failure
        plain = not (progress.answers or progress.coverage or progress.trace) and progress.language == "python"
        if not alone or not plain or len(tests) > _MAX_CALLS or len(progress.program) > _MAX_BYTES:
            return None
        calls, answers = bytearray(), bytearray()
        for number, test in enumerate(tests, 1):
            if not isinstance(test, EncodedCall):
                return None
            calls += _framed(marshal.dumps(["result", test.function, [test.args, {}], number == len(tests), number]))
            answers += _framed(b'{"n":%d,"value":%s}' % (number, _encode(test.expected).encode()))
            if len(calls) > _MAX_BYTES or len(answers) > _MAX_BYTES:
                return None
        if b"NaN" in answers:  # which is equal to nothing, itself included
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
        channel.send_bytes(_framed(marshal.dumps(program)) + self.calls)
        end = time.monotonic() + min(_WAIT_SECONDS, _SHARE_OF_LIMIT * limit)
        while not process.ended and (remaining := end - time.monotonic()) > 0:
            process.wait(remaining)
        return process.ended and channel.received == self.answers


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body
