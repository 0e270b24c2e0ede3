"""Wall time by phase: exactly one phase is counted at any moment, so that the phases add up to the total."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PHASES = ("setup", "warmup", "generation", "execution_wait", "training", "evaluation")
"""Phases that are always reported; others, such as `critic`, are once they were entered."""


class PhaseClock:
    """Wall seconds by phase. A phase inside another is counted in its place, unless the outer one is exclusive: all of
    an evaluation counts as evaluation, its generation too.

    Example:
        >>> clock = PhaseClock()
        >>> with clock("generation"):
        ...     pass
        >>> total = clock.total()
        >>> total <= sum(clock.seconds().values()) + 1e-9 <= clock.total() + 2e-9
        True
    """

    def __init__(self) -> None:
        self.on_phase: Callable[[str], None] | None = None
        """Called with the name of every phase that begins."""
        self._phase = "setup"
        self._exclusive = False
        self._start = self._mark = time.monotonic()
        self._seconds = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def __call__(self, phase: str, exclusive: bool = False) -> Iterator[None]:
        """Counts the block as `phase`; with `exclusive`, phases inside it count as this one."""
        if self._exclusive:
            yield
            return
        outer_phase = self._phase
        self._enter(phase)
        self._exclusive = exclusive
        try:
            yield
        finally:
            self._exclusive = False
            self._enter(outer_phase)

    def seconds(self) -> dict[str, float]:
        """Seconds of each phase so far."""
        self._enter(self._phase)
        return dict(self._seconds)

    def total(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self._start

    def _enter(self, phase: str) -> None:
        seconds = time.monotonic()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + seconds - self._mark
        changes = phase != self._phase
        self._phase, self._mark = phase, seconds
        if changes and self.on_phase is not None:
            self.on_phase(phase)
