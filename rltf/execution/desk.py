"""The front desk of an executor: equal jobs run once, and each open job is answered once, whoever judges it."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rltf.execution import bounds
from rltf.execution.testsets import TestSets
from rltf.types import Job, Verdict

_CACHED = 4096


@dataclass(frozen=True, eq=False)
class Ticket:
    """An open job."""

    number: int
    job: Job
    """With timeout and memory filled in."""
    tests: int
    """Number of its test set."""
    key: Any
    futures: list[Future[Verdict]]
    """Of everyone who asked for it."""


class Desk:
    """Open jobs and recent verdicts. Not thread-safe: the executor's lock guards it."""

    def __init__(self, timeout: float, memory_mb: int) -> None:
        self._timeout, self._memory_mb = timeout, memory_mb
        self._open: dict[int, Ticket] = {}
        self._same: dict[Any, Ticket] = {}
        self._known: OrderedDict[Any, Verdict] = OrderedDict()
        self._next = 0
        self.sets = TestSets()

    def enter(self, job: Job) -> tuple[Future[Verdict], Ticket | None, tuple[int, bytes] | None]:
        """Takes a job in.

        Returns:
            Its future; the ticket to be judged, None when an equal job is open or was judged; number and text
            of its test set when that is new, else None.

        Raises:
            ValueError: The job has no tests, a test holds a value that is no plain value, or a limit makes no sense.
        """
        future: Future[Verdict] = Future()
        timeout = self._timeout if job.timeout is None else job.timeout
        memory_mb = self._memory_mb if job.memory_mb is None else job.memory_mb
        bounds.require_limit("timeout", timeout)
        bounds.require_limit("memory_mb", memory_mb)
        tests, text = self.sets.add(job.tests)
        new = (tests, text) if text else None
        key = (job.program, job.setup, tests, timeout, memory_mb, job.coverage)
        if (verdict := self._known.get(key)) is not None:
            self._known.move_to_end(key)
            future.set_result(verdict)
            return future, None, new
        if (ticket := self._same.get(key)) is not None:
            ticket.futures.append(future)
            return future, None, new
        self._next += 1
        whole = Job(job.program, job.tests, job.setup, timeout, memory_mb, job.coverage)
        ticket = self._same[key] = self._open[self._next] = Ticket(self._next, whole, tests, key, [future])
        self.sets.hold(tests)
        return future, ticket, new

    def settle(self, number: int, answer: Verdict | Exception) -> tuple[list[Future[Verdict]], int | None]:
        """Closes a job: (futures to be resolved, outside the lock; number of a test set that is now forgotten). A
        verdict is remembered for equal jobs, an exception is not."""
        ticket = self._open.pop(number, None)
        if ticket is None:
            return [], None
        del self._same[ticket.key]
        if isinstance(answer, Verdict):
            self._known[ticket.key] = answer
        while len(self._known) > _CACHED:
            self._known.popitem(last=False)
        return ticket.futures, self.sets.release(ticket.tests)

    def tickets(self) -> list[Ticket]:
        """Every open job, oldest first."""
        return list(self._open.values())

    def empty(self) -> list[Future[Verdict]]:
        """Forgets all open jobs; their futures."""
        futures = [future for ticket in self._open.values() for future in ticket.futures]
        self._open.clear()
        self._same.clear()
        return futures


def resolve(futures: list[Future[Verdict]], answer: Verdict | Exception) -> None:
    """Hands a verdict, or the reason why there is none, to everyone who waits for it and has not cancelled."""
    for future in futures:
        if not future.cancelled():
            with contextlib.suppress(Exception):
                if isinstance(answer, Verdict):
                    future.set_result(answer)
                else:
                    future.set_exception(answer)
