"""One program against its tests: forks children, compares what they answer, and says what happened to each test.

The judge holds the expected values and never loads the program; the children run the program and never see what is
expected. A child that hangs or dies fails the test it was at, and the rest goes on in a fresh one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rltf.execution.judge.compare import same_output, same_value
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.judge.outcomes import (
    close_after_end,
    close_after_limit,
    close_program,
    finish_process,
    plain_error,
    program_error,
    stopped_by_force,
)
from rltf.execution.judge.progress import TestProgress
from rltf.execution.judge.test_calls import run_test_texts
from rltf.execution.messages import VerdictRow
from rltf.execution.sandbox.limits import Limits, OutputLimitExceeded, TimeLimitExceeded
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox, SlotSettings
from rltf.execution.values.codec import CannotSend, decode

_NUMPY = re.compile(r"^\s*(import|from)\s+numpy\b", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """Limits of the pool; a job may bring its own timeout and memory."""

    output_bytes: int
    stop_at_first_failure: bool
    max_timeouts: int
    """After so many timeouts the rest of a program's tests is not run and counts as timeouts."""


class Judge:
    """Judges programs one at a time in one slot (two with numpy)."""

    def __init__(self, slots: SlotSettings, table: ErrorTable, settings: Settings) -> None:
        self._settings = settings
        self._table = table
        self._slot_settings = slots
        self._plain = Sandbox(slots)
        self._numpy: Sandbox | None = None
        self._when_waiting: Callable[[], None] | None = None
        self._when_decided: Callable[[], None] | None = None

    def judge(
        self, program: str, setup: str, timeout: float, memory_mb: int, tests: list[list[Any]], coverage: bool = False
    ) -> VerdictRow:
        """The verdict as it travels; with `coverage`, the lines that no test executed too.

        Raises:
            ZygoteLost: The sandbox broke; the job can be tried again.
        """
        limits = Limits(
            timeout=timeout,
            memory_bytes=memory_mb << 20,
            output_bytes=self._settings.output_bytes,
            cpu_seconds=math.ceil(timeout) + 1,
        )
        stop, max_timeouts = self._settings.stop_at_first_failure, self._settings.max_timeouts
        sheet = TestProgress(program, setup, tests, limits, stop, max_timeouts, coverage, self._when_decided)
        slot = self._slot(program, setup)
        if coverage:
            slot.lines.clear(program)
        calls = [i for i, t in enumerate(tests) if t[0] == "call"]
        texts = [i for i, t in enumerate(tests) if t[0] in ("assert", "check")]
        with slot.replaced_when_lost():
            if calls:
                self._calls(slot, sheet, calls)
            if texts and not sheet.over:
                run_test_texts(slot, sheet, texts)
            for at, test in enumerate(tests):
                if test[0] == "stdio" and not sheet.over:
                    self._script(slot, sheet, at)
        unexecuted = slot.lines.unexecuted(program) if coverage else None
        return self._verdict(sheet, "rpc" if texts else "external", unexecuted)

    def start(self) -> None:
        """Starts the zygote ahead of the first job.

        Raises:
            ZygoteLost: It does not come up.
        """
        self._plain.start()

    def when_waiting(self, call: Callable[[], None]) -> None:
        """What to do when a program takes longer than most."""
        self._when_waiting = call
        self._plain.when_waiting = call

    def when_decided(self, call: Callable[[], None]) -> None:
        """What to do when a test of a program is decided."""
        self._when_decided = call

    def broken(self, tests: int, why: str) -> VerdictRow:
        """The verdict on a program under which the sandbox broke again and again."""
        sheet = TestProgress("", "", [[]] * tests, Limits(0, 0, 0, 0), False, 1)
        sheet.fill("violation", plain_error("SandboxLost", why))
        return self._verdict(sheet, "external", None)

    def close(self) -> None:
        """Ends the zygotes."""
        self._plain.close()
        if self._numpy is not None:
            self._numpy.close()

    def report(self) -> dict[str, str]:
        """Layers of the zygote, once it has started."""
        return self._plain.report

    def _slot(self, program: str, setup: str) -> Sandbox:
        if self._slot_settings.numpy is None or not (_NUMPY.search(program) or _NUMPY.search(setup)):
            return self._plain
        if self._numpy is None:
            self._numpy = Sandbox(self._slot_settings, numpy=True)
            self._numpy.when_waiting = self._when_waiting
        return self._numpy

    # ------------------------------------------------------------------------------------------------ call tests

    def _calls(self, slot: Sandbox, sheet: TestProgress, indices: list[int]) -> None:
        left = list(indices)
        while left and not sheet.over:
            sheet.start()
            child = slot.fork(_for_tests(sheet.limits, len(left)))
            calls = [[sheet.tests[i][1], sheet.tests[i][2]] for i in left]
            child.send({**sheet.job, "mode": "calls", "calls": calls})
            left = self._answers(sheet, child, left)

    def _answers(self, sheet: TestProgress, child: SandboxedProcess, left: list[int]) -> list[int]:
        """Takes the answers of one child; returns the tests that it did not come to."""
        last: int | None = None
        for n, at in enumerate(left):
            try:
                answer = child.receive(sheet.limits.timeout)
            except (TimeLimitExceeded, OutputLimitExceeded) as e:
                close_after_limit(sheet, child, at, e)
                return left[n + 1 :]
            if answer is None:
                close_after_end(sheet, child, at)
                return left[n + 1 :]
            if "syntax" in answer or "load" in answer:
                end = child.finish(leaving=True)
                sheet.cpu += end.seconds
                close_program(sheet, answer, end)
                return []
            _mark_answer(sheet, at, answer)
            last = at
            if sheet.over:
                break
        finish_process(sheet, child, last, leaving=not sheet.over or last == left[-1])
        return []

    # ------------------------------------------------------------------------------------------------ stdin, stdout

    def _script(self, slot: Sandbox, sheet: TestProgress, at: int) -> None:
        sheet.start()
        test = sheet.tests[at]
        child = slot.fork(sheet.limits, test[1].encode("utf-8", "surrogatepass"))
        child.send({**sheet.job, "mode": "stdio"})
        try:
            answer = child.receive(sheet.limits.timeout)
        except (TimeLimitExceeded, OutputLimitExceeded) as e:
            close_after_limit(sheet, child, at, e)
            return
        end = child.finish(leaving=True)
        sheet.cpu += end.seconds
        if answer is not None and "syntax" in answer:
            close_program(sheet, answer, end)
        elif stopped := stopped_by_force(end, child, answer is not None):
            sheet.mark(at, *stopped)
        elif answer is not None and answer.get("error"):
            sheet.mark(at, *program_error(answer["error"]))
        elif status := (answer.get("end") if answer is not None else end.status >> 8):
            sheet.mark(at, "runtime_error", plain_error("SystemExit", f"exit status {status}"))
        else:
            printed = end.stdout.decode("utf-8", "surrogateescape")
            sheet.mark(at, "passed" if same_output(printed, test[2]) else "wrong_answer")

    # ------------------------------------------------------------------------------------------------ verdict

    def _verdict(self, sheet: TestProgress, judging: str, unexecuted: list[int] | None) -> VerdictRow:
        if None in sheet.status:
            why = "not run: the program had timed out" if sheet.timeouts >= sheet.max_timeouts else "not run"
            rest = "timeout" if sheet.timeouts >= sheet.max_timeouts else "wrong_answer"
            sheet.fill(rest, plain_error("Timeout" if rest == "timeout" else "NotRun", why))
        rows: list[list[Any]] = [
            [status, seconds, self._row(str(status), error)]
            for status, seconds, error in zip(sheet.status, sheet.seconds, sheet.errors, strict=True)
        ]
        worst = min(sheet.order, key=lambda i: _rank(str(sheet.status[i])))
        return VerdictRow(
            outcome=str(sheet.status[worst]),
            passed=sheet.status.count("passed"),
            error=rows[worst][2],
            tests=rows,
            seconds=round(sheet.cpu, 6),
            judging=judging,
            unexecuted=unexecuted,
        )

    def _row(self, status: str, error: dict[str, Any] | None) -> list[Any] | None:
        if error is None or status in ("passed", "wrong_answer"):
            return None
        category = self._table.category(status, error)
        return [str(error["type"]), str(error["message"]), error["line"], error["end_line"], category]


def _rank(status: str) -> int:
    return {"syntax_error": 0, "wrong_answer": 2, "passed": 3}.get(status, 1)


def _for_tests(limits: Limits, tests: int) -> Limits:
    return replace(limits, cpu_seconds=math.ceil(limits.timeout * tests) + 1)


def _mark_answer(sheet: TestProgress, at: int, answer: dict[str, Any]) -> None:
    """Decides a call test by the child's answer."""
    if isinstance(answer.get("error"), dict):
        sheet.mark(at, *program_error(answer["error"]))
        return
    right = False
    if "value" in answer:
        try:
            right = same_value(decode(answer["value"]), sheet.tests[at][3])
        except (ValueError, RecursionError, TypeError, CannotSend):
            right = False
    sheet.mark(at, "passed" if right else "wrong_answer")
