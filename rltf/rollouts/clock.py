"""Where the time goes: exactly one phase accrues wall time at any moment, so the phases add up to the whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PHASES = ("setup", "warmup", "generation", "execution_wait", "training", "evaluation")
"""Others appear once they were entered: `critic`."""


class PhaseClock:
    """Wall seconds by phase. Inside a `with` the inner phase accrues and the outer one pauses, unless the outer one is
    held: an evaluation counts as evaluation whatever it calls.

    Example:
        >>> clock = PhaseClock()
        >>> with clock("generation"):
        ...     pass
        >>> earlier = clock.total()
        >>> earlier <= sum(clock.seconds().values()) + 1e-9 <= clock.total() + 2e-9
        True
    """

    def __init__(self) -> None:
        self.watch: Callable[[str], None] | None = None
        """Is told of every phase that begins."""
        self._phase = "setup"
        self._held = False
        self._start = self._mark = time.monotonic()
        self._seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def __call__(self, phase: str, hold: bool = False) -> Iterator[None]:
        """The block counts as `phase`; with `hold`, phases inside it count as it too."""
        if self._held:
            yield
            return
        before = self._phase
        self._enter(phase)
        self._held = hold
        try:
            yield
        finally:
            self._held = False
            self._enter(before)

    def seconds(self) -> dict[str, float]:
        """Seconds by phase up to now."""
        self._enter(self._phase)
        return dict(self._seconds)

    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._start

    def _enter(self, phase: str) -> None:
        now = time.monotonic()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._mark
        begins = phase != self._phase
        self._phase, self._mark = phase, now
        if begins and self.watch is not None:
            self.watch(phase)
