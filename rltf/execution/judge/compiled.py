"""Programs that are compiled: once for all tests, in the sandbox like everything that has to do with a program."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from rltf.execution.judge.outcomes import Decision, ErrorRecord, decide
from rltf.execution.judge.progress import TestProgress
from rltf.execution.languages import RUNTIMES
from rltf.execution.sandbox.limits import Limits, Stop, StopReason
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.types import Outcome

_LIMITS = Limits(timeout=20.0, memory_bytes=2 << 30, output_bytes=1 << 20)
"""What a compiler may take, whose processes are several."""
_F_ADD_SEALS, _SEALS = 1033, 0xF
_TERMINATED = re.compile(r"terminate called after throwing an instance of '([^']*)'(?:\s+what\(\): +(.*))?")


class Binary:
    """The memory that holds a compiled program; a file of no file system, which processes of the sandbox run."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("program", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)

    def seal(self) -> None:
        """Lets nobody change it any more: what one test's process did to it would be there for the next.

        Raises:
            OSError: It cannot be sealed.
        """
        fcntl.fcntl(self.fd, _F_ADD_SEALS, _SEALS)

    def close(self) -> None:
        """Frees the memory."""
        os.close(self.fd)


@contextmanager
def compiled(sandbox: Sandbox, progress: TestProgress) -> Iterator[None]:
    """A block in which a program in a compiled language is there as a binary; where it cannot be compiled, all tests
    are decided. Nothing happens for other languages.

    Raises:
        ZygoteLost: The sandbox broke.
    """
    if progress.runtime is None or RUNTIMES[progress.runtime].compiler is None:
        yield
        return
    progress.binary = binary = Binary()
    try:
        _compile(sandbox, progress, binary)
        yield
    finally:
        binary.close()


def _compile(sandbox: Sandbox, progress: TestProgress, binary: Binary) -> None:
    progress.start_clock()
    process = sandbox.fork(_LIMITS, memory=binary, tests=2)
    process.channel.send(progress.job_message | {"mode": "compile"})
    answer = process.receive(_LIMITS.timeout)
    if not isinstance(answer, Stop) and answer.get("compiled") is True:
        progress.finish(process)
        binary.seal()
        progress.loaded = True
        return
    stop = Stop(StopReason.LOAD_ERROR, message=answer) if not isinstance(answer, Stop) else answer
    if stop.message is not None and "syntax" not in stop.message:
        stop = Stop(StopReason.EXIT)
    outcome, error = decide(stop, progress.finish(process, stop.reason.grace_seconds), _LIMITS)
    if error is not None and outcome is not Outcome.SYNTAX_ERROR:
        error = replace(error, message=f"while it was compiled: {error.message}")
    progress.mark_undecided(outcome, error)


def with_reason(decision: Decision, stderr: bytes) -> Decision:
    """A decision with what the C++ library said before it ended the program: its exception, or that memory ran out.

    >>> message = b"terminate called after throwing an instance of 'std::bad_alloc'"
    >>> with_reason((Outcome.RUNTIME_ERROR, None), message)[0]
    <Outcome.MEMORY_LIMIT: 'memory_limit'>
    """
    text = stderr.decode("utf-8", "replace")
    if decision[0] is not Outcome.RUNTIME_ERROR or (terminated := _TERMINATED.search(text)) is None:
        return decision
    if terminated[1] == "std::bad_alloc":
        return Outcome.MEMORY_LIMIT, ErrorRecord("MemoryLimit", "std::bad_alloc", classes=("MemoryError",))
    return Outcome.RUNTIME_ERROR, ErrorRecord(terminated[1][:100], (terminated[2] or "")[:500])
