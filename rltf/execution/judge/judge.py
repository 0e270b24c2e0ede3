"""One program against its tests: forks processes, compares what they answer, and decides every test.

The judge holds the expected values and never loads the program; the processes run the program and never see what is
expected. A process that hangs or dies fails the test that it was at, and the other tests go on in a fresh one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rltf.execution.judge.compare import same_output, same_value
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.outcomes import ErrorRecord, decide, program_error
from rltf.execution.judge.progress import TestProgress
from rltf.execution.judge.text_tests import run_test_texts
from rltf.execution.messages import EncodedCall, JobJSON, JudgeTest, uniform_verdict
from rltf.execution.sandbox.limits import Limits, Stop, StopReason
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox, SandboxSettings
from rltf.execution.values.codec import CannotSend, decode
from rltf.types import AssertTest, CheckTest, ErrorReport, Outcome, StdioTest, TestResult, Verdict

_NUMPY = re.compile(r"^\s*(import|from)\s+numpy\b", re.MULTILINE)


@dataclass(frozen=True)
class JudgeSettings:
    """Limits of the pool that no job can change."""

    output_bytes: int
    stop_at_first_failure: bool
    max_timeouts: int
    """After so many timeouts the other tests of a program are not run and count as timeouts."""


class Judge:
    """Judges programs one at a time, in one sandbox (two with numpy).

    Args:
        sandbox_settings: how the sandboxes are made.
        table: categories of errors.
        settings: limits of the pool.
    """

    def __init__(self, sandbox_settings: SandboxSettings, table: ErrorTable, settings: JudgeSettings) -> None:
        self._settings = settings
        self._table = table
        self._sandbox_settings = sandbox_settings
        self._plain_sandbox = Sandbox(sandbox_settings)
        self._numpy_sandbox: Sandbox | None = None
        self._when_waiting: Callable[[], None] | None = None
        self._when_decided: Callable[[], None] | None = None

    def judge(self, job: JobJSON, timeout: float, tests: Sequence[JudgeTest]) -> Verdict:
        """The verdict on a program, with `judging` alone in its `isolation`.

        Raises:
            ZygoteLost: The sandbox broke; the job can be tried again.
        """
        progress = TestProgress(
            program=job["program"],
            setup=job["setup"],
            tests=tests,
            limits=Limits(timeout, job["memory_mb"] << 20, self._settings.output_bytes),
            stop_at_first_failure=self._settings.stop_at_first_failure,
            max_timeouts=self._settings.max_timeouts,
            coverage=job["coverage"],
            when_decided=self._when_decided,
        )
        sandbox = self._sandbox(progress.program, progress.setup)
        if progress.coverage:
            sandbox.marks.clear(progress.program)
        calls = [at for at, test in enumerate(tests) if isinstance(test, EncodedCall)]
        texts = [at for at, test in enumerate(tests) if isinstance(test, AssertTest | CheckTest)]
        scripts = [at for at, test in enumerate(tests) if isinstance(test, StdioTest)]
        with sandbox.replaced_when_lost():
            if calls:
                _run_calls(sandbox, progress, calls)
            if texts and not progress.over:
                run_test_texts(sandbox, progress, texts)
            for at in scripts:
                if not progress.over:
                    _run_script(sandbox, progress, at)
        unexecuted = sandbox.marks.unexecuted(progress.program) if progress.coverage else None
        return self._verdict(progress, "rpc" if texts else "external", unexecuted)

    def sandbox_lost_verdict(self, tests: int, why: str) -> Verdict:
        """The verdict on a program with `tests` tests under which the sandbox broke again and again."""
        error = self._error_report(Outcome.VIOLATION, ErrorRecord("SandboxLost", why))
        assert error is not None
        return uniform_verdict(tests, Outcome.VIOLATION, error)

    def start(self) -> None:
        """Starts the zygote ahead of the first job.

        Raises:
            ZygoteLost: It does not come up.
        """
        self._plain_sandbox.start()

    def when_waiting(self, call: Callable[[], None]) -> None:
        """Sets what is called when a program takes longer than most."""
        self._when_waiting = call
        self._plain_sandbox.when_waiting = call

    def when_decided(self, call: Callable[[], None]) -> None:
        """Sets what is called when a test of a program is decided."""
        self._when_decided = call

    def close(self) -> None:
        """Ends the zygotes."""
        self._plain_sandbox.close()
        if self._numpy_sandbox is not None:
            self._numpy_sandbox.close()

    def report(self) -> dict[str, str]:
        """Isolation layer -> state, once the zygote has started."""
        return self._plain_sandbox.report

    def _sandbox(self, program: str, setup: str) -> Sandbox:
        if self._sandbox_settings.numpy is None or not (_NUMPY.search(program) or _NUMPY.search(setup)):
            return self._plain_sandbox
        if self._numpy_sandbox is None:
            self._numpy_sandbox = Sandbox(self._sandbox_settings, numpy=True)
            self._numpy_sandbox.when_waiting = self._when_waiting
        return self._numpy_sandbox

    def _verdict(self, progress: TestProgress, judging: str, unexecuted: list[int] | None) -> Verdict:
        if progress.timeouts >= progress.max_timeouts:
            progress.mark_undecided(Outcome.TIMEOUT, ErrorRecord("Timeout", "not run: the program had timed out"))
        else:
            progress.mark_undecided(Outcome.WRONG_ANSWER, None)
        results = tuple(
            TestResult(status, seconds, self._error_report(status, error))
            for status, seconds, error in zip(progress.statuses, progress.seconds, progress.errors, strict=True)
            if status is not None
        )
        worst = results[min(progress.order, key=lambda at: results[at].status.stage)]
        return Verdict(
            outcome=worst.status,
            passed=progress.statuses.count(Outcome.PASSED),
            total=len(results),
            error=worst.error,
            tests=results,
            seconds=round(progress.cpu_seconds, 6),
            isolation={"judging": judging},
            unexecuted=None if unexecuted is None else tuple(unexecuted),
        )

    def _error_report(self, status: Outcome, error: ErrorRecord | None) -> ErrorReport | None:
        if error is None or status in (Outcome.PASSED, Outcome.WRONG_ANSWER):
            return None
        category = self._table.category(status, error)
        return ErrorReport(error.type, error.message, error.line, error.end_line, category)


def _run_calls(sandbox: Sandbox, progress: TestProgress, indices: list[int]) -> None:
    """Runs call tests, all in one process as long as it lives."""
    remaining = list(indices)
    while remaining and not progress.over:
        progress.start_clock()
        process = sandbox.fork(replace(progress.limits, tests=len(remaining)))
        tests = [progress.tests[at] for at in remaining]
        calls = [[test.function, test.args] for test in tests if isinstance(test, EncodedCall)]
        process.send({**progress.job_message, "mode": "calls", "calls": calls})
        remaining = _receive_answers(progress, process, remaining)


def _receive_answers(progress: TestProgress, process: SandboxedProcess, indices: list[int]) -> list[int]:
    """Decides the call tests of one process; returns those that it did not come to."""
    limits, last = progress.limits, None
    for n, at in enumerate(indices):
        answer = process.receive(limits.timeout)
        if isinstance(answer, Stop):
            progress.mark(at, *decide(answer, progress.finish(process), limits))
            return indices[n + 1 :]
        if "syntax" in answer or "load" in answer:
            stop = Stop(StopReason.LOAD_ERROR, message=answer)
            progress.mark_undecided(*decide(stop, progress.finish(process, leaving=True), limits))
            return []
        _mark_answer(progress, at, answer)
        last = at
        if progress.over:
            break
    end = progress.finish(process, leaving=not progress.over or last == indices[-1])
    status, error = decide(Stop(StopReason.ANSWERED), end, limits)
    if error is not None and last is not None:  # what it did behind its last answer
        progress.mark(last, status, error)
    return []


def _mark_answer(progress: TestProgress, at: int, answer: dict[str, Any]) -> None:
    """Decides a call test by the program's answer."""
    test = progress.tests[at]
    assert isinstance(test, EncodedCall)
    if isinstance(answer.get("error"), dict):
        progress.mark(at, *program_error(answer["error"]))
        return
    correct = False
    if "value" in answer:
        try:
            correct = same_value(decode(answer["value"]), test.expected)
        except (ValueError, RecursionError, TypeError, CannotSend):
            correct = False
    progress.mark(at, Outcome.PASSED if correct else Outcome.WRONG_ANSWER)


def _run_script(sandbox: Sandbox, progress: TestProgress, at: int) -> None:
    """Runs the program as a script on one test's stdin and compares what it prints."""
    test, limits = progress.tests[at], progress.limits
    assert isinstance(test, StdioTest)
    progress.start_clock()
    process = sandbox.fork(limits, test.stdin.encode("utf-8", "surrogatepass"))
    process.send({**progress.job_message, "mode": "stdio"})
    answer = process.receive(limits.timeout)
    if isinstance(answer, Stop) and answer.reason is not StopReason.EXIT:
        progress.mark(at, *decide(answer, progress.finish(process), limits))
        return
    message = None if isinstance(answer, Stop) else answer
    end = progress.finish(process, leaving=True)
    if message is not None and "syntax" in message:
        progress.mark_undecided(*decide(Stop(StopReason.LOAD_ERROR, message=message), end, limits))
        return
    status, error = decide(Stop(StopReason.SCRIPT_END, message=message), end, limits)
    if status is Outcome.PASSED and not same_output(end.stdout.decode("utf-8", "surrogateescape"), test.stdout):
        status = Outcome.WRONG_ANSWER
    progress.mark(at, status, error)
