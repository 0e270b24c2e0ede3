"""What a child may use, and the ways in which it stops."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one child may use."""

    timeout: float
    """Seconds a test; time spent waiting for a core does not count."""
    memory_bytes: int
    output_bytes: int
    cpu_seconds: int
    """Back-stop for the child as a whole."""


class ZygoteLost(Exception):
    """The zygote ended or broke the protocol; the text says what is known."""


class TimeLimitExceeded(Exception):
    """The deadline passed; `line` is where the program was, when it could be seen."""

    def __init__(self, line: int | None) -> None:
        super().__init__(line)
        self.line = line


class OutputLimitExceeded(Exception):
    """The program wrote more than it may."""


@dataclass(frozen=True)
class ProcessExit:
    """How a child ended."""

    status: int
    """As `wait` gives it."""
    seconds: float
    """CPU seconds of the program and all its processes."""
    survivors: int
    forbidden: str
    """The forbidden system call it tried, or empty."""
    stdout: bytes
    out_of_memory: bool
    """Its processes together took too much, and one was ended for it."""
