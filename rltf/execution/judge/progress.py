"""The tests of one program and what is known of them so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rltf.execution.sandbox.limits import Limits


@dataclass
class TestProgress:
    """The tests of one program and what happened to them so far."""

    __test__ = False  # not a pytest class

    program: str
    setup: str
    tests: list[list[Any]]
    limits: Limits
    stop: bool
    max_timeouts: int
    coverage: bool = False
    when_decided: Callable[[], None] | None = None
    """Called whenever a test is decided."""
    status: list[str | None] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    errors: list[dict[str, Any] | None] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    """Tests in the order in which they were decided."""
    cpu: float = 0.0
    timeouts: int = 0
    clock: float = 0.0

    def __post_init__(self) -> None:
        self.status = [None] * len(self.tests)
        self.seconds = [0.0] * len(self.tests)
        self.errors = [None] * len(self.tests)

    def start(self) -> None:
        """A test begins now."""
        self.clock = time.perf_counter()

    def mark(self, at: int, status: str, error: dict[str, Any] | None = None) -> None:
        """Decides a test; the next one begins."""
        now = time.perf_counter()
        if self.status[at] is None:
            self.order.append(at)
        self.status[at], self.errors[at] = status, error
        self.seconds[at] = round(now - self.clock, 6)
        self.clock = now
        self.timeouts += status == "timeout"
        if self.when_decided is not None:
            self.when_decided()

    def fill(self, status: str, error: dict[str, Any]) -> None:
        """Decides every test that is still open."""
        self.start()
        for at, known in enumerate(self.status):
            if known is None:
                self.mark(at, status, error)

    @property
    def job(self) -> dict[str, Any]:
        """What every child is told."""
        return {"program": self.program, "setup": self.setup, "coverage": self.coverage}

    @property
    def over(self) -> bool:
        """True when no further test needs to run."""
        if None not in self.status:
            return True
        failed = any(s not in (None, "passed") for s in self.status)
        return (self.stop and failed) or self.timeouts >= self.max_timeouts
