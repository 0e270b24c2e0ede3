"""The open jobs of an executor: equal jobs run once, and each is answered once, whichever process judges it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, NamedTuple

from rltf.execution import messages
from rltf.execution.languages import require_language
from rltf.execution.sandbox.limits import require_limit
from rltf.execution.values.codec import CannotSend
from rltf.types import Job, Test, Verdict

_MAX_VERDICTS = 4096
"""Verdicts that are remembered for equal jobs."""
_MAX_TEST_SETS = 1024
"""Test sets that the judging side remembers, unless open jobs need more."""
_MAX_ALLOWED = 1000
"""Limits of jobs that are known to be allowed."""
_MAX_IDENTITIES = 8
"""Tuples of equal tests that are recognised without encoding them again."""


class VerdictFuture(Future[Verdict]):
    """The future verdict on a job."""

    withdraw: Callable[[], None] | None = None
    """Called when it is cancelled."""

    def cancel(self) -> bool:
        """Cancels it unless there is a verdict; returns whether it is cancelled."""
        cancelled = super().cancel()
        if cancelled and self.withdraw is not None:
            self.withdraw()
        return cancelled


@dataclass(eq=False, slots=True)
class PendingJob:
    """A job without a verdict yet."""

    number: int
    job: Job
    timeout: float
    """Seconds a test, the job's own or the pool's."""
    memory_mb: int
    """Likewise."""
    test_set: int
    """Number of its test set."""
    key: Any
    """The same for equal jobs."""
    futures: list[VerdictFuture]
    """One for each time it was submitted."""

    def packed(self) -> bytes:
        """The message that submits it to the judging side."""
        return messages.job_message(self.number, self.job, self.timeout, self.memory_mb, self.test_set)


class Entry(NamedTuple):
    """What came of adding a job."""

    future: VerdictFuture
    new_job: PendingJob | None
    """The job to be judged; None when an equal one is open or was judged."""
    test_set: int
    new_tests: bytes
    """The test set as it travels where it is new to the judging side, else empty."""
    number: int = 0
    """Of the open job that the future belongs to; 0 where an equal one was judged."""


class PendingJobs:
    """Open jobs and recent verdicts. Not thread-safe: the executor's lock guards it.

    Args:
        timeout: seconds a test, for jobs that bring no limit of their own.
        memory_mb: memory of a program, likewise.
        check: raises an error for limits of a job that this host does not allow.
    """

    def __init__(self, timeout: float, memory_mb: int, check: Callable[[float, int], None] | None = None) -> None:
        self._timeout, self._memory_mb, self._check = timeout, memory_mb, check
        self._allowed: set[tuple[float, int]] = set()
        """Seconds a test, megabytes: limits that were checked."""
        self._by_number: dict[int, PendingJob] = {}
        self._by_key: dict[Any, PendingJob] = {}
        self._verdicts: OrderedDict[Any, Verdict] = OrderedDict()
        self._last_number = 0
        self.test_sets = TestSets()

    def add(self, job: Job) -> Entry:
        """Opens a job unless an equal one is open or was judged; one whose output is asked for runs anew each time.

        Raises:
            ValueError: The job has no tests, a test holds a value that is no plain value, a limit makes no sense, or
                its language has no such tests or is not installed.
        """
        future = VerdictFuture()
        timeout = self._timeout if job.timeout is None else job.timeout
        memory_mb = self._memory_mb if job.memory_mb is None else job.memory_mb
        known_types = type(timeout) is float and type(memory_mb) is int
        if not (known_types and (timeout, memory_mb) in self._allowed):
            self._check_limits(timeout, memory_mb)
        require_language(job)
        test_set, new_tests = self.test_sets.add(job.tests)
        key = (
            job.program,
            job.setup,
            test_set,
            timeout,
            memory_mb,
            job.coverage,
            job.reference,
            job.language,
            job.answers,
            self._last_number if job.output else None,
        )
        if (verdict := self._verdicts.get(key)) is not None:
            self._verdicts.move_to_end(key)
            future.set_result(verdict)
            return Entry(future, None, test_set, new_tests)
        if (pending := self._by_key.get(key)) is not None:
            pending.futures.append(future)
            return Entry(future, None, test_set, new_tests, pending.number)
        self._last_number += 1
        pending = PendingJob(self._last_number, job, timeout, memory_mb, test_set, key, [future])
        self._by_key[key] = self._by_number[pending.number] = pending
        self.test_sets.acquire(test_set)
        return Entry(future, pending, test_set, new_tests, pending.number)

    def _check_limits(self, timeout: float, memory_mb: int) -> None:
        """Checks the limits of a job; those of the host are the same for all jobs of the pool."""
        require_limit("timeout", timeout)
        require_limit("memory_mb", memory_mb)
        if self._check is not None:
            self._check(timeout, memory_mb)
        if len(self._allowed) < _MAX_ALLOWED:
            self._allowed.add((timeout, memory_mb))

    def withdraw(self, number: int) -> tuple[bool, int | None]:
        """Closes a job whose futures are all cancelled.

        Returns:
            Whether it was closed now; and the number of a test set that is now forgotten, or None.
        """
        pending = self._by_number.get(number)
        if pending is None or not all(future.cancelled() for future in pending.futures):
            return False, None
        del self._by_number[number], self._by_key[pending.key]
        return True, self.test_sets.release(pending.test_set)

    def complete(self, number: int, answer: Verdict | Exception) -> tuple[list[VerdictFuture], int | None]:
        """Closes a job. A verdict is remembered for equal jobs, an exception is not.

        Returns:
            The job's futures, to be resolved outside the lock (none when it was closed before); and the number of a
            test set that is now forgotten, or None.
        """
        pending = self._by_number.pop(number, None)
        if pending is None:
            return [], None
        del self._by_key[pending.key]
        if isinstance(answer, Verdict) and not pending.job.output:
            self._verdicts[pending.key] = answer
        while len(self._verdicts) > _MAX_VERDICTS:
            self._verdicts.popitem(last=False)
        return pending.futures, self.test_sets.release(pending.test_set)

    def jobs(self) -> list[PendingJob]:
        """Every open job, oldest first."""
        return list(self._by_number.values())

    def clear(self) -> list[VerdictFuture]:
        """Forgets all open jobs; returns their futures."""
        futures = [future for pending in self._by_number.values() for future in pending.futures]
        self._by_number.clear()
        self._by_key.clear()
        return futures


def resolve(futures: Sequence[VerdictFuture], answer: Verdict | Exception) -> None:
    """Sets a verdict, or the reason why there is none, as the result of all futures that are not cancelled."""
    for future in futures:
        try:
            if isinstance(answer, Verdict):
                future.set_result(answer)
            else:
                future.set_exception(answer)
        except InvalidStateError:  # it was cancelled
            continue


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


@dataclass(frozen=True, eq=False)
class _TestSet:
    text: bytes
    size: int
    """Number of tests in the set."""
    identities: list[int]
    """`id` of the tuples that have been recognised as this set."""


class TestSets:
    """The test sets that the judging side remembers. Not thread-safe: the executor's lock guards it."""

    __test__ = False  # not a pytest class

    def __init__(self) -> None:
        self._by_identity: dict[int, tuple[tuple[Test, ...], int]] = {}
        """`id` of a tuple of tests -> the tuple, which stays alive for it, and the number of its set."""
        self._by_text: dict[bytes, int] = {}
        self._sets: OrderedDict[int, _TestSet] = OrderedDict()
        """By number, the longest unused first."""
        self._open_jobs: dict[int, int] = {}
        """Number of a set -> open jobs that need it."""
        self._last_number = 0

    def add(self, tests: tuple[Test, ...]) -> tuple[int, bytes]:
        """The set's number, and its text when it is new, else nothing.

        Raises:
            ValueError: There is no test, or one holds a value that cannot be sent.
        """
        same_tests, number = self._by_identity.get(id(tests), (None, 0))
        if same_tests is tests:
            self._sets.move_to_end(number)
            return number, b""
        text = encode_tests(tests)
        new_text = b""
        if text in self._by_text:
            number = self._by_text[text]
        else:
            new_text = text
            number = self._last_number = self._last_number + 1
            self._by_text[text] = number
            self._sets[number] = _TestSet(text, len(tests), [])
        self._sets.move_to_end(number)
        identities = self._sets[number].identities
        if len(identities) < _MAX_IDENTITIES:
            identities.append(id(tests))
            self._by_identity[id(tests)] = (tests, number)
        return number, new_text

    def acquire(self, number: int) -> None:
        """Counts one more open job that needs the set."""
        self._open_jobs[number] = self._open_jobs.get(number, 0) + 1

    def release(self, number: int) -> int | None:
        """Counts one open job less; returns the number of a set that is forgotten for lack of use, if any."""
        self._open_jobs[number] -= 1
        if not self._open_jobs[number]:
            del self._open_jobs[number]
        if len(self._sets) <= _MAX_TEST_SETS:
            return None
        oldest = next((n for n in self._sets if n not in self._open_jobs), None)
        if oldest is None:
            return None
        test_set = self._sets.pop(oldest)
        del self._by_text[test_set.text]
        for identity in test_set.identities:
            del self._by_identity[identity]
        return oldest

    def packed(self) -> bytes:
        """The messages that tell a new supervisor of all sets."""
        return b"".join(messages.tests_message(n, s.text, s.size) for n, s in self._sets.items())
