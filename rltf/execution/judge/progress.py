"""The tests of one program and what is decided of them so far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rltf.execution.inside.trace import TraceMemory
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.outcomes import ErrorRecord
from rltf.execution.languages import LANGUAGES
from rltf.execution.messages import JudgeTest
from rltf.execution.sandbox.limits import Limits, ProcessExit
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.settings import SharedMemory
from rltf.types import Outcome, ProgramOutput


@dataclass
class TestProgress:
    """The tests of one program and what is decided of them so far."""

    __test__ = False  # not a pytest class

    program: str
    setup: str
    job_tests: JobTests
    limits: Limits
    stop_at_first_failure: bool = False
    max_timeouts: int = 1
    """After so many timeouts no further test is run."""
    coverage: bool = False
    """The program says which lines it executes."""
    output: bool = False
    """What it prints in runs of the whole program is part of the verdict."""
    answers: bool = False
    """What it returns in calls is part of the verdict."""
    language: str = "python"
    tests: Sequence[JudgeTest] = field(init=False)
    trace: TraceMemory | None = None
    """Where the program is to say which values it computes; None: it does not."""
    binary: SharedMemory | None = None
    """The compiled program."""
    statuses: list[Outcome | None] = field(init=False)
    """One per test; None: not decided."""
    seconds: list[float] = field(init=False)
    """Wall-clock seconds of each test."""
    errors: list[ErrorRecord | None] = field(init=False)
    executed: list[tuple[int, ...] | None] = field(init=False)
    """Lines that each test executed, where that is measured."""
    outputs: list[ProgramOutput | None] = field(init=False)
    """What the program printed in each test, where that is asked for."""
    returned: list[str | None] = field(init=False)
    """What the program returned in each call, where that is asked for."""
    order: list[int] = field(default_factory=list)
    """Tests in the order in which they were decided."""
    loaded: bool = False
    """Some process has executed the program's module to its end."""
    cpu_seconds: float = 0.0
    """Of all processes of the program."""
    timeouts: int = 0
    failed: bool = False
    """Some test did not pass."""
    runtime: str | None = field(init=False)
    """What the program needs beyond Python's standard library: its language, or numpy where the program, the setup or a
    test names it."""
    _clock: float = 0.0
    """When the present test began."""

    def __post_init__(self) -> None:
        self.tests = self.job_tests.tests
        number = len(self.tests)
        self.statuses = [None] * number
        self.seconds = [0.0] * number
        self.errors = [None] * number
        self.executed = [None] * number
        self.outputs = [None] * number
        self.returned = [None] * number
        if self.language != "python":
            self.runtime = LANGUAGES[self.language].runtime
        else:
            names_numpy = self.job_tests.requires_numpy or "numpy" in self.program or "numpy" in self.setup
            self.runtime = "numpy" if names_numpy else None

    def start_clock(self) -> None:
        """Notes that a test begins now."""
        self._clock = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Wall-clock seconds since the present test began."""
        return time.perf_counter() - self._clock

    def mark(self, at: int, status: Outcome, error: ErrorRecord | None = None, seconds: float | None = None) -> None:
        """Decides a test; the next one begins.

        Args:
            at: the test.
            status: its outcome.
            error: what went wrong.
            seconds: wall-clock seconds that it took; None: since the last one was decided.
        """
        now = time.perf_counter()
        if self.statuses[at] is None:
            self.order.append(at)
        self.statuses[at], self.errors[at] = status, error
        self.seconds[at] = round(now - self._clock if seconds is None else seconds, 6)
        self._clock = now if seconds is None else self._clock + seconds
        self.timeouts += status is Outcome.TIMEOUT
        self.failed = self.failed or status not in (Outcome.PASSED, Outcome.UNJUDGEABLE)

    def mark_undecided(self, status: Outcome, error: ErrorRecord | None) -> None:
        """Decides every test that is not decided."""
        if None not in self.statuses:
            return
        self.start_clock()
        for at, decided in enumerate(self.statuses):
            if decided is None:
                self.mark(at, status, error)

    def finish(self, process: SandboxedProcess, grace_seconds: float = 0.0) -> ProcessExit:
        """Ends a process of the program and adds its CPU seconds (see `SandboxedProcess.finish`)."""
        end = process.finish(grace_seconds)
        self.cpu_seconds += end.cpu_seconds
        return end

    def finish_script(self, at: int, process: SandboxedProcess, grace_seconds: float = 0.0) -> ProcessExit:
        """Ends the process of the whole program, run for a test; notes what it printed, where that is asked for."""
        end = self.finish(process, grace_seconds)
        if self.output:
            status = end.status >> 8 if not end.status & 0x7F else -(end.status & 0x7F)
            stdout, stderr = (text.decode("utf-8", "replace") for text in (end.stdout, end.stderr))
            self.outputs[at] = ProgramOutput(stdout, stderr, status)
        return end

    @property
    def job_message(self) -> dict[str, Any]:
        """The part of the first message to a process that is the same for all processes of the program."""
        asks = {"coverage": self.coverage, "trace": self.trace is not None}
        return {"program": self.program, "setup": self.setup, **asks}

    @property
    def over(self) -> bool:
        """True when no further test needs to run."""
        all_decided = len(self.order) == len(self.tests)
        return all_decided or (self.stop_at_first_failure and self.failed) or self.timeouts >= self.max_timeouts
