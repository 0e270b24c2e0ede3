"""What a program may use, the clocks that follow from it, why the judge stops waiting, and how a process ended."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, NamedTuple

from rltf.validation import require

LARGEST = {
    "timeout": 86_400,  # seconds: a day
    "memory_mb": 1 << 20,  # a TiB
    "output_kb": 1 << 20,  # a GiB
    "scratch_mb": 1 << 20,
    "tasks": 32_768,
    "workers": 4096,
    "node_workers": 4096,
    "max_timeouts": 1_000_000,
    "hash_seed": (1 << 32) - 1,  # PYTHONHASHSEED's own
}
"""Largest values of options: larger ones fit no clock, poll or rlimit."""

WALL_CLOCK_FACTOR = 12.0
"""A test gets at most this many times its limit by the wall clock, however long its program waited for a core."""
UNREAD_OUTPUT_FACTOR = 16
"""Output that nobody compares may be so much longer than output that is compared."""
OUTPUT_SLACK = 1 << 16
"""A program may print twice what is expected and so many bytes, whatever `output_kb` says."""
GRADING_SECONDS = 5.0
"""What all tests of a program may take by themselves: test text and comparisons, without the program's own time."""
GRADING_SECONDS_PER_BYTE = 2e-6
"""More of it for long test text, which must be compiled."""
GRADER_MEMORY = 2 << 30
"""Bytes that test text and the values it is sent may take."""
_LARGEST_CPU = 0xFFFFFFFF
"""Seconds; what the message to the zygote holds. A day a test and 50,000 tests are more."""
SILENT_WORKER_SECONDS = 60.0
"""A worker gives a sign of life every second while a program runs; after so long without it is stuck. Longer than two
zygotes may take to start."""


def require_limit(key: str, value: Any) -> None:
    """Checks a limit: a number above 0 and at most `LARGEST[key]`; a whole one, but for `timeout`. A seed may be 0.

    Raises:
        OptionError: It makes no sense.

    >>> require_limit("timeout", 1e10)
    Traceback (most recent call last):
    rltf.validation.OptionError: timeout is 10000000000.0: expected a number above 0 and at most 86400
    """
    if key == "hash_seed":
        require(key, value, at_least=0, at_most=LARGEST[key], whole=True)
    else:
        require(key, value, above=0, at_most=LARGEST[key], whole=key != "timeout")


class Limits(NamedTuple):
    """What one process may use."""

    timeout: float
    """Seconds a test; time spent waiting for a core does not count."""
    memory_bytes: int
    """Beyond the interpreter's own."""
    output_bytes: int
    """Stdout, where it is compared."""

    def cpu_seconds(self, tests: int) -> int:
        """Processor seconds of a process that runs so many tests, the kernel's back-stop."""
        return min(math.ceil(self.timeout * tests) + 1, _LARGEST_CPU)

    @property
    def unread_bytes(self) -> int:
        """Of what is printed and not compared: stderr, and all output of a program whose functions are called."""
        return UNREAD_OUTPUT_FACTOR * self.output_bytes


class StopReason(Enum):
    """Why the judge waits no longer for a program."""

    TIME_LIMIT = auto()
    """Nothing came within the time that the program may take."""
    OUTPUT_LIMIT = auto()
    """It printed more than it may."""
    EXIT = auto()
    """It ended in the middle of a test, without an answer."""
    LOAD_ERROR = auto()
    """It said that it does not compile or does not load."""
    SCRIPT_END = auto()
    """It is a script, and ended, with or without a last message."""
    ANSWERED = auto()
    """It has answered everything that it was asked."""
    GRADING_TIME = auto()
    """Its tests took more time than they may with what it answered."""
    GRADING_LOST = auto()
    """The grader did not survive what it answered."""
    GRADING_FAULT = auto()
    """The grader ended, or had to be ended, before the test asked the program anything."""

    @property
    def by_grader(self) -> bool:
        """True where it was not the program that stopped."""
        return self in (StopReason.GRADING_TIME, StopReason.GRADING_LOST, StopReason.GRADING_FAULT)

    @property
    def grace_seconds(self) -> float:
        """Seconds in which a program may end by itself: where it has answered a moment, which saves a signal; where its
        channel is closed long enough to see how it ends, which would else be by our hand."""
        answered = (StopReason.ANSWERED, StopReason.SCRIPT_END, StopReason.LOAD_ERROR)
        return 0.25 if self is StopReason.EXIT else 0.005 if self in answered else 0.0


@dataclass(frozen=True)
class Stop:
    """The end of the judge's waiting."""

    reason: StopReason
    line: int | None = None
    """`TIME_LIMIT`: where the program was, when it could be seen."""
    message: dict[str, Any] | None = None
    """`LOAD_ERROR`, `SCRIPT_END`: the program's last message."""


class ProcessExit(NamedTuple):
    """How a process ended."""

    status: int
    """As `wait` gives it."""
    cpu_seconds: float
    """Of the program and all its processes."""
    forbidden_call: str
    """The forbidden system call that it tried, or empty."""
    stdout: bytes
    out_of_memory: bool
    """Its processes together took too much memory, and the kernel ended one of them for it."""
    overflowed: bool
    """It printed more than it may."""
    stderr: bytes = b""
    """The beginning of it, where it is told apart from stdout."""


NOT_RUN = ProcessExit(0, 0.0, "", b"", out_of_memory=False, overflowed=False)
"""Of a program that had no process."""


class ZygoteLost(Exception):
    """The zygote ended or broke the protocol; the text says what is known."""
