"""One program against its tests: forks processes, compares what they print, and decides every test.

The program's process runs the program and never sees what is expected; the grader has the tests and never loads the
program; the worker, here, runs neither. A process that hangs or dies fails the test that it was at, and the other tests
go on in a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from rltf.execution.inside.coverage import consistent_unexecuted
from rltf.execution.judge.checkers import checker_decision, checker_progress, decide_text
from rltf.execution.judge.compiled import compiled
from rltf.execution.judge.divergence import ReferenceComparison
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.grading import Grader
from rltf.execution.judge.job_tests import JobTests
from rltf.execution.judge.outcomes import ErrorRecord, decide
from rltf.execution.judge.progress import TestProgress
from rltf.execution.judge.runs import run_requesting, run_script
from rltf.execution.judge.syntax import SyntaxChecker
from rltf.execution.messages import JobJSON, uniform_verdict
from rltf.execution.sandbox.limits import NOT_RUN, Limits, Stop, StopReason, ZygoteLost
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.execution.sandbox.settings import SandboxSettings
from rltf.types import Category, ErrorReport, Outcome, StdioTest, TestResult, Verdict

_TESTS_BETWEEN_SIGNS = 64
"""Tests on stdin between two signs of life where each takes a few milliseconds only."""


@dataclass(frozen=True)
class JudgeSettings:
    """Limits of the pool that no job can change."""

    output_bytes: int
    stop_at_first_failure: bool
    max_timeouts: int
    """After so many timeouts the other tests of a program are not run and count as timeouts."""


class Judge:
    """Judges programs one at a time, each in a fork of a sandbox; tests that ask a program run in a grader's sandbox.

    Args:
        sandbox_settings: how the sandboxes are made.
        table: categories of errors.
        settings: limits of the pool.
    """

    def __init__(self, sandbox_settings: SandboxSettings, table: ErrorTable, settings: JudgeSettings) -> None:
        self._settings = settings
        self._table = table
        self._sandbox_settings = sandbox_settings
        self._sandboxes: dict[str | None, Sandbox] = {None: Sandbox(sandbox_settings)}
        """Runtime -> where programs run that need it."""
        self._graders: dict[str | None, tuple[Sandbox, Grader]] = {}
        """numpy or None -> where tests run."""
        self._syntax = SyntaxChecker(sandbox_settings)
        self._when_waiting: Callable[[], None] = lambda: None
        self._comparison = ReferenceComparison(self._run)

    def judge(self, job: JobJSON, timeout: float, job_tests: JobTests) -> Verdict:
        """The verdict on a program, with `judging` alone in its `isolation`.

        Args:
            job: program, setup, and what goes with them.
            timeout: seconds a test.
            job_tests: its tests.

        Raises:
            ZygoteLost: The sandbox broke; the job can be tried again.
        """
        progress = TestProgress(
            program=job["program"],
            setup=job["setup"],
            job_tests=job_tests,
            limits=Limits(timeout, job["memory_mb"] << 20, self._settings.output_bytes),
            stop_at_first_failure=self._settings.stop_at_first_failure,
            max_timeouts=self._settings.max_timeouts,
            coverage=job["coverage"] and job["language"] == "python",
            output=job["output"],
            answers=job["answers"],
            language=job["language"],
        )
        if self._has_syntax_error(progress):
            return self._verdict(progress, "external", None)
        sandbox = self._sandbox(progress.runtime)
        if progress.coverage:
            sandbox.marks.clear_all()
        try:
            if progress.language == "python":
                self._decide_tests(sandbox, progress)
            else:
                with compiled(sandbox, progress):
                    self._decide_tests(sandbox, progress)
        except ZygoteLost:
            sandbox.close()
            raise
        unexecuted = _unexecuted(sandbox, progress) if progress.coverage else None
        if unexecuted is None:  # not measured, or not to be believed
            progress.executed = [None] * len(progress.tests)
        if progress.language == "python":
            self._syntax.count(compiled=Outcome.SYNTAX_ERROR not in progress.statuses)
        verdict = self._verdict(progress, "rpc" if job_tests.has_text else "external", unexecuted)
        if job["reference"] is None or job["language"] != "python" or verdict.outcome is not Outcome.WRONG_ANSWER:
            return verdict
        at = next(at for at, result in enumerate(verdict.tests) if result.status is Outcome.WRONG_ANSWER)
        divergence = self._comparison(progress, job["reference"], at)
        return replace(verdict, divergence=divergence, seconds=round(progress.cpu_seconds, 6))

    def _has_syntax_error(self, progress: TestProgress) -> bool:
        """True for a program whose syntax error is known without a process of its own: all tests are decided then.

        Setup runs before a program is compiled, test text may say by itself that it cannot be judged, a text is no
        program, and what a script prints may be asked for."""
        if (
            progress.setup
            or progress.output
            or progress.language != "python"
            or not progress.job_tests.only_calls_and_scripts
        ):
            return False
        message = self._syntax.error(progress.program)
        if message is None:
            return False
        progress.mark_undecided(*decide(Stop(StopReason.LOAD_ERROR, message=message), NOT_RUN, progress.limits))
        self._syntax.count(compiled=False)
        return True

    def _decide_tests(self, sandbox: Sandbox, progress: TestProgress) -> None:
        """Decides all tests: first those that ask the program, then scripts and answers in words."""
        requesting = progress.job_tests.requesting
        if requesting:
            self._grade(sandbox, self._grader(progress.runtime), progress, requesting)
        if len(requesting) == len(progress.tests):
            return
        for at, test in enumerate(progress.tests):
            if test.kind == "text" and not progress.over:
                decide_text(progress, at)
            if test.kind == "stdio" and not progress.over:
                printed = run_script(sandbox, progress, at)
                if printed is not None:
                    self._check(progress, at, printed)
                if at % _TESTS_BETWEEN_SIGNS == 0:
                    self._when_waiting()

    def _grade(
        self, sandbox: Sandbox, graders: tuple[Sandbox, Grader], progress: TestProgress, indices: list[int]
    ) -> None:
        """Decides the tests at `indices`, which ask the program."""
        grader_sandbox, grader = graders
        try:
            run_requesting(sandbox, grader, progress, indices, self._when_waiting)
            grader.known_calls.count(progress)
        except ZygoteLost:  # of one of the two; nobody goes on with what runs in the other
            sandbox.close()
            grader_sandbox.close()
            grader.forget()
            raise

    def _check(self, progress: TestProgress, at: int, printed: str) -> None:
        """Decides a test whose checker reads what the program printed: the checker runs as a program of its own, behind
        the same layers, once the program has ended."""
        test = progress.tests[at]
        assert isinstance(test, StdioTest)
        checking = checker_progress(test, printed)
        graders = self._grader(checking.runtime)
        graders[1].replace_tests(checking.job_tests.number)
        self._grade(self._sandbox(checking.runtime), graders, checking, [0])
        progress.mark(at, *checker_decision(checking))

    def _run(self, progress: TestProgress, at: int) -> None:
        """Runs a program on one of its tests.

        Raises:
            ZygoteLost: The sandbox broke.
        """
        sandbox = self._sandbox(progress.runtime)
        try:
            if progress.tests[at].kind == "stdio":
                run_script(sandbox, progress, at)
            else:
                self._grade(sandbox, self._grader(progress.runtime), progress, [at])
        except ZygoteLost:
            sandbox.close()
            raise

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
        self._sandboxes[None].start()

    def when_waiting(self, call: Callable[[], None]) -> None:
        """Sets what is called, again and again, while a program takes longer than most."""
        self._when_waiting = call
        for sandbox in self._sandboxes.values():
            sandbox.when_waiting = call

    def close(self) -> None:
        """Ends the zygotes."""
        for sandbox, grader in self._graders.values():
            grader.forget()
            sandbox.close()
        for sandbox in self._sandboxes.values():
            sandbox.close()
        self._syntax.close()

    def report(self) -> dict[str, str]:
        """Isolation layer -> state, once the zygote has started."""
        return self._sandboxes[None].report

    def _sandbox(self, runtime: str | None) -> Sandbox:
        """Where a program runs that needs a runtime; without it, where it is not installed."""
        runtime = runtime if runtime in self._sandbox_settings.runtimes else None
        if runtime not in self._sandboxes:
            self._sandboxes[runtime] = Sandbox(self._sandbox_settings, runtime)
            self._sandboxes[runtime].when_waiting = self._when_waiting
        return self._sandboxes[runtime]

    def _grader(self, runtime: str | None) -> tuple[Sandbox, Grader]:
        """Where the tests of a program run, which use numpy where it does."""
        runtime = "numpy" if runtime == "numpy" and runtime in self._sandbox_settings.runtimes else None
        if runtime not in self._graders:
            sandbox = Sandbox(self._sandbox_settings, runtime, grader=True)
            self._graders[runtime] = sandbox, Grader(sandbox)
        return self._graders[runtime]

    def _verdict(self, progress: TestProgress, judging: str, unexecuted: tuple[int, ...] | None) -> Verdict:
        if progress.timeouts >= progress.max_timeouts:
            progress.mark_undecided(Outcome.TIMEOUT, ErrorRecord("Timeout", "not run: the program had timed out"))
        else:
            progress.mark_undecided(Outcome.WRONG_ANSWER, None)
        rows = zip(
            progress.statuses, progress.seconds, progress.errors, progress.executed, progress.outputs, strict=True
        )
        results = [
            TestResult(status, seconds, None if error is None else self._error_report(status, error), executed, output)
            for status, seconds, error, executed, output in rows
            if status is not None
        ]
        passed = progress.statuses.count(Outcome.PASSED)
        if passed == len(results):
            worst = results[progress.order[0]]
        else:
            worst = results[min(progress.order, key=lambda at: _rank(results[at].status))]
        return Verdict(
            outcome=worst.status,
            passed=passed,
            total=len(results),
            error=worst.error,
            tests=tuple(results),
            seconds=round(progress.cpu_seconds, 6),
            isolation={"judging": judging},
            unexecuted=unexecuted,
            answers=tuple(progress.returned) if progress.answers else (),
        )

    def _error_report(self, status: Outcome, error: ErrorRecord) -> ErrorReport | None:
        if status is Outcome.PASSED:
            return None
        blameless = status in (Outcome.WRONG_ANSWER, Outcome.UNJUDGEABLE)  # no token is to blame for a reason
        category = Category.IGNORE if blameless else self._table.category(status, error)
        return ErrorReport(error.type, error.message, error.line, error.end_line, category)


def _unexecuted(sandbox: Sandbox, progress: TestProgress) -> tuple[int, ...] | None:
    """Lines that no test executed; None where that is not known."""
    lines = [error.line for error in progress.errors if error is not None and error.line is not None]
    if Outcome.SYNTAX_ERROR in progress.statuses:
        return None
    return consistent_unexecuted(progress.program, sandbox.marks.unexecuted(progress.program), progress.loaded, lines)


def _rank(status: Outcome) -> tuple[int, bool]:
    """Which of two tests speaks for the program: one that cannot be judged only where all others passed."""
    return status.stage, status is Outcome.UNJUDGEABLE
