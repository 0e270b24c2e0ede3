"""How much of a test's wall-clock time counts against its limit.

A program that waits for a core is not slow; one whose own processes fill all cores is. So the waiting of its tasks is
taken off, but never below the processor time that its tasks used together. The kernel forgets what a task has waited
when it ends, so its last number is kept: a compiler is four processes, one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from rltf.execution.sandbox import proc_stat
from rltf.execution.sandbox.limits import WALL_CLOCK_FACTOR

_LOOK_SECONDS = 0.5
"""Seconds between two looks at tasks that run long: what an ended one waited after the last is not known."""


class TaskSeconds(NamedTuple):
    """Totals over all tasks below a zygote."""

    waiting: float = 0.0
    """Ready to run, without a core; of tasks that have ended, what the last look saw."""
    running: float = 0.0
    """On a core; tasks that have ended are included."""


class TaskClock:
    """The tasks of one process of the sandbox and of all that it started.

    Args:
        zygote: process id of its zygote.
    """

    def __init__(self, zygote: int) -> None:
        self._zygote = zygote
        self._waiting = 0.0
        """Before the present test."""
        self._running = 0.0
        self._last = TaskSeconds()
        self._waiting_of_task: dict[int, float] = {}
        """Task id -> seconds that it has waited."""
        self._ended_waiting = 0.0
        """Seconds that ended tasks have waited."""
        self._look_time = time.monotonic()

    def begin_test(self) -> None:
        """Another test began since the last look: what was waited since then may be its own, what ran before now may
        not."""
        self._waiting, previous = self._last.waiting, self._last
        self.look()
        self._running = max(previous.running, self._last.running)

    def look(self) -> None:
        """Reads the clocks of all tasks."""
        self._look_time = time.monotonic()
        waiting_of_task, running = proc_stat.task_seconds(self._zygote)
        for task, seconds in self._waiting_of_task.items():
            if waiting_of_task.get(task, 0.0) < seconds:  # it has ended, and another one may have its id
                self._ended_waiting += seconds
        self._waiting_of_task = waiting_of_task
        self._last = TaskSeconds(self._ended_waiting + sum(waiting_of_task.values()), running)

    def tick(self) -> None:
        """Reads the clocks where the last look is half a second old."""
        if time.monotonic() - self._look_time > _LOOK_SECONDS:
            self.look()

    def counted(self, seconds: float) -> float:
        """Of so many wall-clock seconds of the present test, those that count; reads the clocks anew.

        >>> clock = TaskClock(0)  # without tasks nothing waits
        >>> clock.counted(1.5)
        1.5
        """
        self.look()
        return counted_seconds(seconds, self._last.waiting - self._waiting, self._last.running - self._running)


def counted_seconds(wall: float, waiting: float, running: float) -> float:
    """Seconds of a test that count.

    Args:
        wall: wall-clock seconds of the test.
        waiting: seconds that its tasks were ready to run without a core, summed.
        running: seconds that its tasks had a core, summed.

    >>> counted_seconds(3.0, waiting=2.0, running=1.0)  # on a busy host
    1.0
    >>> counted_seconds(3.0, waiting=30.0, running=6.0)  # its own processes are in its way
    3.0
    >>> counted_seconds(3.0, waiting=0.0, running=0.0)  # asleep
    3.0
    """
    excused = min(max(0.0, waiting), max(0.0, wall - running))
    return max(wall - excused, wall / WALL_CLOCK_FACTOR)


def answer_times(pid: int) -> Iterator[None]:
    """Yields as long as a process that was asked where it is may still answer."""
    start, core_seconds = time.monotonic(), proc_stat.core_seconds(pid)
    while pid and (waited := time.monotonic() - start) < 1:
        if waited > 0.02 and not (
            proc_stat.is_ready_to_run(pid) and proc_stat.core_seconds(pid) - core_seconds < 0.002
        ):
            return
        yield
