"""The page of memory that a grader and its worker share: where the grader is, and what it has decided.

The grader writes, the worker reads: so it keeps the clock, and knows the results of a grader that it had to kill,
without a message for every test. Each entry is one aligned machine word or byte.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import Self

MAX_TESTS = 100_000
"""Tests of a job."""
MAX_ANSWER = 1 << 16
"""Bytes of what a call returned that go into the verdict."""
UNDECIDED, PASSED, WRONG_ANSWER, PROGRAM_ERROR, UNJUDGEABLE = range(5)
"""Results of a test; the error of the last two, and of a wrong answer if there is one, comes as a message."""
LOADING = -1
"""`test` while the program is loaded."""

_HEADER = 4096
_SIZE = _HEADER + 5 * MAX_TESTS
_TEST, _TEST_START, _SECONDS, _REQUEST_START, _REQUESTS, _LINE, _ALL_SECONDS, _OVER, _AWAITED = range(9)
_WORDS = 9
_BY_MESSAGE, _SILENTLY = 1, 2
_monotonic = time.monotonic


class Page:
    """The page, mapped from its file.

    Args:
        fd: descriptor of the file, which stays open; -1: a page of this process alone.
    """

    def __init__(self, fd: int = -1) -> None:
        self.fd = fd
        memory = memoryview(mmap.mmap(fd, _SIZE))
        self._numbers = memory[:_HEADER].cast("q")
        self._times = memory[:_HEADER].cast("d")
        self._results = memory[_HEADER : _HEADER + MAX_TESTS]
        self._durations = memory[_HEADER + MAX_TESTS :].cast("f")

    # the worker's end

    @classmethod
    def make(cls) -> Self:
        """A new page over a file of its own."""
        fd = os.memfd_create("page", os.MFD_CLOEXEC)
        os.ftruncate(fd, _SIZE)
        return cls(fd)

    def clear(self, tests: int) -> None:
        """Forgets the last job, before one with so many tests."""
        self._numbers[:_WORDS] = memoryview(bytes(8 * _WORDS)).cast("q")
        self._numbers[_TEST] = LOADING
        self._results[:tests] = bytes(tests)

    @property
    def test(self) -> int:
        """Position of the present test, or `LOADING`."""
        return self._numbers[_TEST]

    @property
    def requests(self) -> int:
        """Requests to the program that the present test has made."""
        return self._numbers[_REQUESTS]

    @property
    def line(self) -> int:
        """Where the program said it is when it was asked by a signal; 0: it did not say."""
        return self._numbers[_LINE]

    @property
    def done(self) -> bool:
        """True once every test of the job is decided and no message will come."""
        return self._numbers[_OVER] == _SILENTLY

    def await_message(self) -> None:
        """Has the grader end the job with a message, unless it is `done` already."""
        self._numbers[_AWAITED] = 1

    def results(self, tests: int) -> list[tuple[int, float]]:
        """(result, wall-clock seconds) of each of the first tests."""
        return list(zip(self._results[:tests].tolist(), self._durations[:tests].tolist(), strict=True))

    def program_seconds(self) -> float:
        """Wall-clock seconds that the present test has waited for the program."""
        start = self._times[_REQUEST_START]
        return self._times[_SECONDS] + (_monotonic() - start if start else 0.0)

    def all_program_seconds(self) -> float:
        """Wall-clock seconds that all tests of the job have waited for the program."""
        start = self._times[_REQUEST_START]
        return self._times[_ALL_SECONDS] + (_monotonic() - start if start else 0.0)

    # the grader's end

    @property
    def over(self) -> bool:
        """True once the last message on the job was sent, or none will be."""
        return bool(self._numbers[_OVER])

    def end_job(self) -> None:
        """The last message on the job was sent."""
        self._numbers[_OVER] = _BY_MESSAGE

    def end_silently(self) -> bool:
        """All tests are decided, and there is nothing to be said; False where the worker waits for a message."""
        self._numbers[_OVER] = _SILENTLY
        return not self._numbers[_AWAITED]

    def begin_test(self, position: int) -> None:
        """A test begins."""
        self._numbers[_TEST] = position
        self._numbers[_REQUESTS] = 0
        self._times[_SECONDS] = 0.0
        self._times[_TEST_START] = _monotonic()

    def end_test(self, result: int) -> None:
        """The present test is decided."""
        position = self._numbers[_TEST]
        self._durations[position] = _monotonic() - self._times[_TEST_START]
        self._results[position] = result

    def begin_request(self) -> None:
        """The program has the word."""
        self._numbers[_REQUESTS] += 1
        self._times[_REQUEST_START] = _monotonic()

    def end_request(self) -> None:
        """The program has answered."""
        seconds = _monotonic() - self._times[_REQUEST_START]
        self._times[_REQUEST_START] = 0.0
        self._times[_SECONDS] += seconds
        self._times[_ALL_SECONDS] += seconds

    def place(self, line: int) -> None:
        """The program said at which line it is."""
        self._numbers[_LINE] = line
