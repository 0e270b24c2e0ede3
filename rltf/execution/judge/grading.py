"""The worker's side of a grader: hands it a job, keeps the clocks, ends what takes too long.

Nothing of a test runs here, and no value of a program is read here: results come as small numbers in a page of memory,
reasons as short texts.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rltf.execution.grader.page import LOADING, MAX_ANSWER, Page
from rltf.execution.judge.exact_answers import KnownCalls
from rltf.execution.messages import JudgeTest
from rltf.execution.sandbox.clock import answer_times
from rltf.execution.sandbox.limits import (
    GRADER_MEMORY,
    GRADING_SECONDS,
    GRADING_SECONDS_PER_BYTE,
    Limits,
    Stop,
    StopReason,
)
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.types import AssertTest, CheckTest

_LOOK_SECONDS = 0.1
"""Seconds between two looks at the clocks of a program that takes long."""
_SEND_SECONDS = 20.0
"""Seconds after which a grader that does not take its job counts as lost."""
_MAX_TEST_SETS = 256
"""Test sets that a grader remembers."""
_DONE = {"end": "done"}
_LARGEST_CPU = 0xFFFFFFFF
_LIMITS = Limits(timeout=_LARGEST_CPU - 2, memory_bytes=GRADER_MEMORY, output_bytes=1 << 10)


@dataclass
class Grading:
    """What a grader said of one process of a program."""

    results: dict[int, tuple[int, float]] = field(default_factory=dict)
    """Position of a test -> result (`rltf.execution.grader.page`), wall-clock seconds."""
    errors: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Position of a test -> error of the program, or `reason`."""
    executed: dict[int, list[int]] = field(default_factory=dict)
    """Position of a test -> lines that it executed."""
    answers: dict[int, str] = field(default_factory=dict)
    """Position of a test -> what its call returned, as text that nobody reads here."""
    stop: Stop = field(default_factory=lambda: Stop(StopReason.ANSWERED))
    """Why the judge waits no longer."""
    at: int | None = None
    """The test at which it stopped; None: before the first, or after the last."""
    lost: bool = False
    """The grader ended, by what the program answered, by the test, or by somebody else."""
    traces: bool = False
    """Its tests left files or processes, which go with it."""
    unread: bool = False
    """The program was sent more than its tests asked."""
    diverged: bool = False
    """The program was sent something else than a test asked: nothing of this run counts."""
    exact: Any = None
    """Calls of the tests and right answers to them, as `rltf.execution.judge.exact_answers` takes them."""
    broken: bool = False
    """The program cannot be asked anything more, and other tests need a fresh process."""


class Grader:
    """A grader process, started when first needed and again after it had to be ended.

    Args:
        sandbox: forks graders.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._page = Page.make()
        self._process: SandboxedProcess | None = None
        self._test_sets: OrderedDict[int, float] = OrderedDict()
        """Test sets that the present process has, by number, the longest unused first: seconds for their grading."""
        self._jobs = 0
        self.known_calls = KnownCalls()

    def grade(
        self, process: SandboxedProcess, job: Mapping[str, Any], marks: int | None, tick: Callable[[], None]
    ) -> Grading:
        """Has a process of a program asked the tests at `job["indices"]`.

        Args:
            process: the program's.
            job: `program` (message to the process; None: it was sent that, and requests), `sent` (the number of these
                requests), `test_set` (number), `tests` (all of them), `setup`, `indices`, `stop_at_first_failure`,
                `answers`, `pipelined` (requests known from the tests' text go together).
            marks: descriptor of the memory of executed lines, for jobs with coverage.
            tick: called now and then while the program runs.

        Raises:
            ZygoteLost: The grader could not be started.
        """
        grader = self._start()
        number, tests = job["test_set"], job["tests"]
        last = max(job["indices"])
        self._jobs += 1
        self._page.clear(1 + last)
        if process.ended:
            self._page.await_message()
        news: dict[str, Any] = {"number": self._jobs, "tests": None, "forgotten": ()}
        news["answered"] = b"" if process.ended else bytes(process.channel.received)
        channel = process.give_channel()
        descriptors = [channel] if marks is None else [channel, marks]
        news["descriptors"] = len(descriptors)
        if number not in self._test_sets:
            news["tests"] = _rows(tests)
            self._test_sets[number] = _grading_seconds(tests)
            excess = max(0, len(self._test_sets) - _MAX_TEST_SETS)
            news["forgotten"] = [self._test_sets.popitem(last=False)[0] for _ in range(excess)]
            self.known_calls.forget(*news["forgotten"])
        self._test_sets.move_to_end(number)
        try:
            grader.channel.send({**job, **news}, descriptors)
            grader.channel.flush(_SEND_SECONDS)
        finally:
            os.close(channel)
        grading = _Watch(process, grader, self._page, self._jobs, self._test_sets[number], tick).run()
        results = self._page.results(1 + last)
        if grading.exact is not None:
            self.known_calls.tell(number, grading.exact)
        grading.results = {at: results[at] for at in job["indices"]}
        if grading.stop.reason.by_grader or grading.traces:
            self.close()
        return grading

    def _start(self) -> SandboxedProcess:
        if self._process is None:
            self._test_sets.clear()
            self.known_calls.forget_text()
            self._process = self._sandbox.fork(_LIMITS)
            self._process.channel.send({"descriptors": 1}, [self._page.fd])
        return self._process

    def replace_tests(self, number: int) -> None:
        """The next job with these tests has others under their number."""
        self._test_sets.pop(number, None)
        self.known_calls.forget(number)

    def forget(self) -> None:
        """The process goes with its zygote; the next job gets another."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def close(self) -> None:
        """Ends the process; the next job gets another."""
        process, self._process = self._process, None
        if process is not None:
            process.finish()


class _Watch:
    """Waits for a grader that asks a program."""

    def __init__(
        self,
        process: SandboxedProcess,
        grader: SandboxedProcess,
        page: Page,
        job: int,
        seconds: float,
        tick: Callable[[], None],
    ) -> None:
        self._process = process
        self._grader = grader
        self._page = page
        self._job = job
        self._grading_seconds = seconds
        self._tick = tick
        self._grading = Grading()
        self._end: dict[str, Any] | None = None
        """The grader's last message."""
        self._stop: Stop | None = None
        """Why the program is being ended."""
        self._test = LOADING
        self._start = time.monotonic()
        self._grader_looked = False
        process.watch(grader.channel.fileno(), self._read_results)
        for fd in grader.trusted:
            process.watch(fd, grader.attend)

    def run(self) -> Grading:
        """What the grader said, and why it ended."""
        grading, page = self._grading, self._page
        seconds = self._process.limits.timeout
        while self._end is None and grading.stop.reason is StopReason.ANSWERED:
            self._process.wait(min(seconds, _LOOK_SECONDS))
            if self._process.ended and not page.done:  # the grader decides the last test, or did with a message
                page.await_message()
                self._read_results()
            if page.done:
                self._end = self._end or _DONE
            if self._end is not None:
                break
            seconds = self._look()
        if grading.stop.reason is StopReason.ANSWERED:
            self._conclude()
        if grading.stop.reason is not StopReason.ANSWERED or grading.broken:
            grading.at = None if page.test == LOADING else page.test
        return grading

    def _conclude(self) -> None:
        """Reads the reason from the grader's last message."""
        end, grading = self._end or {}, self._grading
        grading.traces = end.get("traces") is True
        if end.get("end") == "not loaded":
            grading.stop = Stop(StopReason.LOAD_ERROR, message=end.get("message") or {})
        elif end.get("end") == "stopped":
            grading.stop = self._stop or Stop(StopReason.EXIT)
        elif end.get("end") in ("broken", "unread", "diverged"):
            setattr(grading, end["end"], True)
        elif end.get("end") != "done":
            self._lose_grader()

    def _look(self) -> float:
        """Ends what takes too long; returns the seconds until the next look."""
        self._tick()
        page, process, grader = self._page, self._process, self._grader
        if not self._grader_looked:
            self._grader_looked = True
            grader.clock.begin_test()
        if grader.ended or not grader.channel.open or grader.forbidden_call:
            self._lose_grader()
            return 0.0
        if page.test != self._test:
            self._test = page.test
            process.clock.begin_test()
        limit = process.limits.timeout
        remaining = limit
        if self._stop is None:
            waited = page.program_seconds()
            remaining = limit - waited
            if process.overflowed:
                self._stop = Stop(StopReason.OUTPUT_LIMIT)
                process.stop()
            elif remaining <= 0:
                remaining = limit - process.clock.counted(waited)
                if remaining < 0.005 * limit:
                    self._stop = Stop(StopReason.TIME_LIMIT, line=self._line())
                    process.stop()
        spent = time.monotonic() - self._start - page.all_program_seconds()
        if spent > self._grading_seconds and grader.clock.counted(spent) > self._grading_seconds:
            self._grading.stop = Stop(StopReason.GRADING_TIME if page.requests else StopReason.GRADING_FAULT)
        return max(remaining, 0.001)

    def _line(self) -> int | None:
        """Where the program is; the grader reads its answer."""
        for _ in answer_times(self._process.ask_line()):
            if self._page.line or self._end is not None:
                break
            self._process.wait(0.002)
        return self._page.line or None

    def _lose_grader(self) -> None:
        self._grading.lost = True
        self._grading.stop = Stop(StopReason.GRADING_LOST if self._page.requests else StopReason.GRADING_FAULT)

    def _read_results(self, fd: int = 0, event: int = 0) -> None:
        """Reads reasons and lines of tests, and the last message."""
        channel = self._grader.channel
        channel.pull()
        while (message := channel.message()) is not None:
            at = message.get("at")
            if message.get("job", self._job) != self._job:  # the last word of a copy that test text made
                continue
            if "exact" in message:
                self._grading.exact = message["exact"]
            elif "end" in message or "unsendable" in message:
                self._end = message
            elif type(at) is int and isinstance(message.get("error"), dict):
                self._grading.errors[at] = message["error"]
            elif type(at) is int and isinstance(message.get("executed"), list):
                self._grading.executed[at] = [line for line in message["executed"] if type(line) is int]
            elif type(at) is int and type(message.get("answer")) is str:
                self._grading.answers[at] = message["answer"][:MAX_ANSWER]


def _grading_seconds(tests: Sequence[JudgeTest]) -> float:
    """What tests may take by themselves."""
    text_bytes = sum(len(test.code) for test in tests if isinstance(test, AssertTest | CheckTest))
    return GRADING_SECONDS + GRADING_SECONDS_PER_BYTE * text_bytes


def _rows(tests: Sequence[JudgeTest]) -> list[list[Any]]:
    """The tests of a job as a grader takes them: `[position, kind, *fields]`, without those on stdin."""
    rows: list[list[Any]] = []
    for at, test in enumerate(tests):
        if test.kind == "call":
            rows.append([at, "call", test.function, test.args, test.expected, test.or_in_list, test.tolerance])
        elif test.kind == "assert":
            rows.append([at, "assert", test.code])
        elif test.kind == "check":
            rows.append([at, "check", test.code, test.entry_point])
    return rows
