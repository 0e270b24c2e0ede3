"""Requests in the shape of other services as jobs, and verdicts in the shape of their answers."""

from __future__ import annotations

import json
from typing import Any, Literal

from rltf.benchmarks.apps.tests import stdio_tests
from rltf.execution.json_tests import InvalidInput
from rltf.service.schemas import ProgramTestRequest, ProgramTestResponse, RunCodeRequest, RunCodeResponse, RunResult
from rltf.types import AssertTest, ErrorReport, Job, Outcome, StdioTest, Test, Verdict

LANGUAGES = {"python": "python", "cpp": "cpp", "nodejs": "javascript", "javascript": "javascript"}
"""Language of `/run_code` -> of the job."""


def job_of_code(request: RunCodeRequest) -> Job:
    """The job that runs a program once.

    Raises:
        InvalidInput: Another language, or files and arguments, which programs cannot have.
    """
    if request.language not in LANGUAGES:
        raise InvalidInput(f"`language` is {request.language!r:.100}: expected {' or '.join(LANGUAGES)}")
    for key in ("files", "fetch_files", "args"):
        if getattr(request, key):
            raise InvalidInput(f"`{key}` is not empty: programs have an empty scratch folder and no arguments")
    memory_mb = None if request.memory_limit_MB == -1 else request.memory_limit_MB
    test = StdioTest(request.stdin or "", "")
    language = LANGUAGES[request.language]
    return Job(request.code, (test,), timeout=request.run_timeout, memory_mb=memory_mb, output=True, language=language)


def code_response(verdict: Verdict) -> RunCodeResponse:
    """The answer on a program that was run once.

    >>> code_response(Verdict(Outcome.TIMEOUT, 0, 1)).status
    'Failed'
    """
    [result] = verdict.tests or (None,)
    error = verdict.error
    if verdict.outcome is Outcome.UNJUDGEABLE or (error is not None and error.type == "SandboxLost"):
        message = "" if error is None else error.message
        return RunCodeResponse(status="SandboxError", message=message, run_result=RunResult(status="Error"))
    if error is not None and error.type == "CompileError":
        compilation = RunResult(status="Finished", return_code=1, stdout="", stderr=_traceback(error))
        return RunCodeResponse(status="Failed", compile_result=compilation)
    output = None if result is None else result.output
    status: Literal["Finished", "TimeLimitExceeded"] = "Finished"
    code = None if output is None else output.exit_status
    if verdict.outcome is Outcome.TIMEOUT:
        status, code = "TimeLimitExceeded", None
    run = RunResult(
        status=status,
        execution_time=None if result is None else result.seconds,
        return_code=code,
        stdout="" if output is None else output.stdout,
        stderr=("" if output is None else output.stderr) + _traceback(error),
    )
    return RunCodeResponse(status="Success" if code == 0 and error is None else "Failed", run_result=run)


def _traceback(error: ErrorReport | None) -> str:
    """The last lines of a traceback, as Python prints them."""
    if error is None or error.type == "SystemExit":
        return ""
    place = "" if error.line is None else f'Traceback (most recent call last):\n  File "main.py", line {error.line}\n'
    return f"{place}{error.type}: {error.message}\n" if error.message else f"{place}{error.type}\n"


def job_of_tests(request: ProgramTestRequest, stdio: bool) -> Job | None:
    """The job of a program and its tests; None where it has none.

    Args:
        request: the program and its tests.
        stdio: whether tests are inputs and outputs, or else `assert` statements.

    Raises:
        InvalidInput: The tests have another form.
    """
    rows = _rows(request.tests)
    tests: tuple[Test, ...]
    if stdio:
        if not all(isinstance(row, dict) and {"input", "output"} <= row.keys() for row in rows):
            raise InvalidInput("`tests` is no list of objects with `input` and `output`")
        tests = stdio_tests([row["input"] for row in rows], [row["output"] for row in rows])
    else:
        if not all(isinstance(row, str) for row in rows):
            raise InvalidInput("`tests` is no list of `assert` statements, which are strings")
        tests = tuple(AssertTest(row) for row in rows)
    return Job(request.program, tests, timeout=request.max_execution_time) if tests else None


def _rows(tests: Any) -> list[Any]:
    if isinstance(tests, str) and tests:
        try:
            tests = json.loads(tests)
        except (ValueError, RecursionError):
            reason = "pickled tests are not read, since reading a pickle runs it"
            raise InvalidInput(f"`tests` is a string that is no JSON: {reason}") from None
    if not isinstance(tests or [], list):
        raise InvalidInput("`tests` is no list")
    return tests or []


def tests_response(verdict: Verdict | None) -> ProgramTestResponse:
    """The answer on a program and its tests; one without tests has none.

    >>> from rltf.types import TestResult
    >>> passed, failed = TestResult(Outcome.PASSED, 0.1), TestResult(Outcome.WRONG_ANSWER, 0.1)
    >>> tests_response(Verdict(Outcome.WRONG_ANSWER, 1, 2, tests=(passed, failed)))
    ProgramTestResponse(results=[1, 0], runtimes=[0.1, -1.0])
    """
    passed = [(result.status is Outcome.PASSED, result.seconds) for result in (verdict.tests if verdict else ())]
    return ProgramTestResponse(
        results=[int(ok) for ok, _ in passed], runtimes=[seconds if ok else -1.0 for ok, seconds in passed]
    )
