"""The front desk of an executor: equal jobs run once, and each open job is answered once, whoever judges it."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from rltf.execution import messages, option_ranges
from rltf.execution.values.codec import CannotSend
from rltf.types import Job, Test, Verdict

_CACHED = 4096


@dataclass(frozen=True, eq=False)
class PendingJob:
    """An open job."""

    number: int
    job: Job
    """With timeout and memory filled in."""
    tests: int
    """Number of its test set."""
    key: Any
    futures: list[Future[Verdict]]
    """Of everyone who asked for it."""


class PendingJobs:
    """Open jobs and recent verdicts. Not thread-safe: the executor's lock guards it."""

    def __init__(self, timeout: float, memory_mb: int) -> None:
        self._timeout, self._memory_mb = timeout, memory_mb
        self._open: dict[int, PendingJob] = {}
        self._same: dict[Any, PendingJob] = {}
        self._known: OrderedDict[Any, Verdict] = OrderedDict()
        self._next = 0
        self.sets = TestSets()

    def enter(self, job: Job) -> tuple[Future[Verdict], PendingJob | None, tuple[int, bytes] | None]:
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
        option_ranges.require_limit("timeout", timeout)
        option_ranges.require_limit("memory_mb", memory_mb)
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
        ticket = self._same[key] = self._open[self._next] = PendingJob(self._next, whole, tests, key, [future])
        self.sets.hold(tests)
        return future, ticket, new

    def complete(self, number: int, answer: Verdict | Exception) -> tuple[list[Future[Verdict]], int | None]:
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

    def tickets(self) -> list[PendingJob]:
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


_KEPT = 1024


def encode_tests(tests: Sequence[Test]) -> bytes:
    """The text of a test set as it travels to the judge.

    Raises:
        ValueError: There is no test, or one holds a value that cannot be sent.
    """
    if not tests:
        raise ValueError("tests is empty: a program without tests can neither pass nor fail")
    try:
        return messages.tests_to_json(tests)
    except (CannotSend, RecursionError) as e:
        raise ValueError(f"tests hold what cannot be judged outside the sandbox: {e}") from None


class TestSets:
    """The test sets that the judging side knows. Not thread-safe: the executor's lock guards it."""

    __test__ = False  # not a pytest class

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[tuple[Test, ...], int]] = {}
        self._by_content: dict[bytes, int] = {}
        self._sets: OrderedDict[int, tuple[bytes, int, list[int]]] = OrderedDict()
        self._users: dict[int, int] = {}
        self._next = 0

    def add(self, tests: tuple[Test, ...]) -> tuple[int, bytes]:
        """The set's number, and its text when it is new, else nothing.

        Raises:
            ValueError: There is no test, or one holds a value that cannot be sent.
        """
        known = self._by_identity.get(id(tests))
        if known is not None and known[0] is tests:
            self._sets.move_to_end(known[1])
            return known[1], b""
        body = encode_tests(tests)
        number = self._by_content.get(body)
        text = b""
        if number is None:
            self._next += 1
            number = self._next
            self._by_content[body] = number
            self._sets[number] = (body, len(tests), [])
            text = body
        self._sets.move_to_end(number)
        identities = self._sets[number][2]
        if len(identities) < 8:
            identities.append(id(tests))
            self._by_identity[id(tests)] = (tests, number)
        return number, text

    def hold(self, number: int) -> None:
        """One more job needs the set."""
        self._users[number] = self._users.get(number, 0) + 1

    def release(self, number: int) -> int | None:
        """One job less needs it; returns the number of a set that is forgotten for it, if any."""
        self._users[number] -= 1
        if not self._users[number]:
            del self._users[number]
        if len(self._sets) <= _KEPT:
            return None
        oldest = next((n for n in self._sets if n not in self._users), None)
        if oldest is None:
            return None
        body, _, identities = self._sets.pop(oldest)
        del self._by_content[body]
        for identity in identities:
            del self._by_identity[identity]
        return oldest

    def everything(self) -> bytes:
        """All sets, for a new supervisor."""
        return b"".join(messages.pack(messages.TESTS, body, count, n) for n, (body, count, _) in self._sets.items())
