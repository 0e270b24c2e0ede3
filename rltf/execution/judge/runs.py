"""Runs a program on some of its tests, in forks of a sandbox, and notes in `TestProgress` what becomes of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rltf.execution.grader import page
from rltf.execution.judge.compare import same_output
from rltf.execution.judge.compiled import with_reason
from rltf.execution.judge.grading import Grader, Grading
from rltf.execution.judge.outcomes import ErrorRecord, decide, parse_error, program_error
from rltf.execution.judge.progress import TestProgress
from rltf.execution.sandbox.limits import OUTPUT_SLACK, Stop, StopReason
from rltf.execution.sandbox.message_socket import MAX_REPLAYED
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.sandbox import Sandbox
from rltf.types import Outcome, StdioTest

_ANSWERED = (page.PASSED, page.WRONG_ANSWER, page.PROGRAM_ERROR)


def run_requesting(
    sandbox: Sandbox, grader: Grader, progress: TestProgress, indices: list[int], tick: Callable[[], None]
) -> None:
    """Runs the tests at `indices`, in one process as long as it lives; after a hang or a death the others go on in a
    fresh one.

    Requests that are known from the tests' text go to the program together. Where a test made another one, or where
    something went wrong in a process that was sent more than its tests asked, the same tests run once more, one request
    at a time: so a verdict never depends on what a program did unasked.
    """
    remaining = list(indices)
    lost_graders = 0
    pipelined = progress.language == "python" and not progress.coverage and progress.trace is None
    calls = grader.known_calls.of(progress, remaining)
    while remaining and not progress.over:
        progress.start_clock()
        marks = sandbox.marks if progress.coverage else None
        process = sandbox.fork(progress.limits, memory=marks or progress.trace, tests=len(remaining) + 1)
        program = progress.job_message | {"mode": "requests"}
        sent, right = (0, False) if calls is None else calls.ask(process, program, progress.limits.timeout)
        if right:
            if marks is not None:
                progress.executed[remaining[0]] = marks.executed_since_last()
            _mark_exact(progress, process, remaining)
            return
        # it may have executed lines that its test does not ask for, or said more than a grader reads as it comes
        if sent and (marks is not None or len(process.channel.received) > MAX_REPLAYED):
            progress.finish(process)
            calls = None
            if marks is not None:
                marks.clear_all()
            continue
        job = {
            "program": None if sent else program,
            "sent": sent,
            "setup": progress.setup if progress.language == "python" else "",
            "test_set": progress.job_tests.number,
            "tests": progress.tests,
            "indices": remaining,
            "stop_at_first_failure": progress.stop_at_first_failure,
            "answers": progress.answers,
            "pipelined": pipelined,
        }
        calls = None
        grading = grader.grade(process, job, None if marks is None else marks.fd, tick)
        if grading.diverged:
            progress.finish(process)
            pipelined = False
            continue
        if grading.unread:
            end = progress.finish(process)
            if decide(grading.stop, end, progress.limits)[1] is not None:
                pipelined = False
                continue
            _mark_results(progress, grading, remaining)
            return
        _mark_results(progress, grading, remaining)
        lost_graders += grading.lost
        remaining = _mark_end(progress, process, grading, remaining, retry=lost_graders == 1)


def _mark_exact(progress: TestProgress, process: SandboxedProcess, indices: Sequence[int]) -> None:
    """Decides tests all of which the program answered rightly; each takes its share of the time."""
    progress.loaded = True
    seconds = progress.elapsed / len(indices)
    for at in indices:
        progress.mark(at, Outcome.PASSED, None, seconds)
    status, error = decide(Stop(StopReason.ANSWERED), progress.finish(process), progress.limits)
    if error is not None:  # what it did behind its last answer
        progress.mark(indices[-1], status, error)


def _mark_results(progress: TestProgress, grading: Grading, indices: Sequence[int]) -> None:
    """Decides the tests that the grader decided."""
    for at in indices:
        result, seconds = grading.results[at]
        error = grading.errors.get(at, {})
        reason = parse_error({"type": "Unjudgeable", "message": error.get("reason")}) if "reason" in error else None
        if at in grading.executed:
            progress.executed[at] = tuple(grading.executed[at])
        progress.returned[at] = grading.answers.get(at, progress.returned[at])
        match result:
            case page.PASSED:
                progress.mark(at, Outcome.PASSED, None, seconds)
            case page.WRONG_ANSWER:
                progress.mark(at, Outcome.WRONG_ANSWER, reason and replace(reason, type="WrongAnswer"), seconds)
            case page.PROGRAM_ERROR:
                progress.mark(at, *program_error(error), seconds)
            case page.UNJUDGEABLE:
                progress.mark(at, Outcome.UNJUDGEABLE, reason, seconds)


def _mark_end(
    progress: TestProgress, process: SandboxedProcess, grading: Grading, indices: Sequence[int], retry: bool
) -> list[int]:
    """Decides the test at which a process stopped; returns those that it did not come to, and with `retry` the one at
    which the grader was lost: something else may have ended it."""
    limits, reason = progress.limits, grading.stop.reason
    progress.loaded = progress.loaded or any(grading.results[at][0] in _ANSWERED for at in indices)
    undecided = [at for at in indices if progress.statuses[at] is None]
    if reason is StopReason.ANSWERED:
        end = progress.finish(process, 0.0 if grading.broken else reason.grace_seconds)
        status, error = decide(grading.stop, end, limits)
        decided = [at for at in indices if progress.statuses[at] is not None]
        if error is not None and decided:  # what it did behind its last answer
            progress.mark(decided[-1], status, error)
        return undecided if grading.broken else []
    decision = decide(grading.stop, progress.finish(process, reason.grace_seconds), limits)
    lost = grading.lost and retry and decision[0] in (Outcome.WRONG_ANSWER, Outcome.UNJUDGEABLE)
    if lost or (reason.by_grader and not undecided):
        return undecided
    undecided = undecided or list(indices)  # no test asked it anything: what it does by itself is known all the same
    if reason is StopReason.LOAD_ERROR:
        for at in undecided:
            progress.mark(at, *decision)
        progress.mark_undecided(*decision)
        return []
    progress.mark(grading.at if grading.at in undecided else undecided[0], *decision)
    remaining = [at for at in undecided if progress.statuses[at] is None]
    if reason is not StopReason.GRADING_TIME:
        return remaining
    for at in remaining:  # the time of all tests together is used up
        progress.mark(at, *decision)
    return []


def run_script(sandbox: Sandbox, progress: TestProgress, at: int) -> str | None:
    """Runs the program as a script on one test's stdin and compares what it prints.

    Returns:
        What it printed, where a checker is to decide; else None, and the test is decided.
    """
    test, limits = progress.tests[at], progress.limits
    assert isinstance(test, StdioTest)
    progress.start_clock()
    expected_bytes = len(test.stdout.encode("utf-8", "surrogatepass"))
    limits = limits._replace(output_bytes=max(limits.output_bytes, 2 * expected_bytes + OUTPUT_SLACK))
    marks = sandbox.marks if progress.coverage else None
    memory = marks or progress.trace or progress.binary
    try:
        process = sandbox.fork(limits, test.stdin.encode("utf-8", "surrogatepass"), memory)
    except OSError as e:  # the host's own limit of a file's size, or no memory
        progress.mark(at, Outcome.UNJUDGEABLE, ErrorRecord("Unjudgeable", f"its input cannot be handed over: {e}"))
        return None
    process.channel.send(progress.job_message | {"mode": "stdio"})
    answer = process.receive(limits.timeout)
    if marks is not None:
        progress.executed[at] = marks.executed_since_last()
    if isinstance(answer, Stop) and answer.reason is not StopReason.EXIT:
        progress.mark(at, *decide(answer, progress.finish_script(at, process), limits))
        return None
    message = None if isinstance(answer, Stop) else answer
    end = progress.finish_script(at, process, StopReason.SCRIPT_END.grace_seconds)
    if message is not None and "syntax" in message:
        progress.mark_undecided(*decide(Stop(StopReason.LOAD_ERROR, message=message), end, limits))
        return None
    progress.loaded = progress.loaded or (message is not None and message.get("loaded") is True)
    status, error = decide(Stop(StopReason.SCRIPT_END, message=message), end, limits)
    if progress.binary is not None:
        status, error = with_reason((status, error), end.stderr)
    printed = end.stdout.decode("utf-8", "surrogateescape")
    if status is Outcome.PASSED and test.checker:
        return printed
    if status is Outcome.PASSED and not same_output(printed, test.stdout, test.tolerance):
        status = Outcome.WRONG_ANSWER
    progress.mark(at, status, error)
    return None
