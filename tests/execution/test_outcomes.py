"""Every row of `decide`: why the judge stopped waiting and how the process ended, against status and error."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from rltf.execution.judge.outcomes import ErrorRecord, decide, parse_error
from rltf.execution.sandbox.limits import Limits, ProcessExit, Stop, StopReason

LIMITS = Limits(timeout=1.5, memory_bytes=64 << 20, output_bytes=3 << 10)
ZERO = {"type": "ZeroDivisionError", "classes": ["ZeroDivisionError", "Exception"], "message": "by zero", "line": 2}
MEMORY = {"type": "Full", "classes": ["Full", "MemoryError"], "message": "", "line": 1}
SYNTAX = {"type": "SyntaxError", "classes": ["SyntaxError"], "message": "invalid", "line": 4, "incomplete": True}
KILLED = {"status": signal.SIGKILL}

time_up = Stop(StopReason.TIME_LIMIT, line=7)
printed = Stop(StopReason.OUTPUT_LIMIT)
exited = Stop(StopReason.EXIT)
answered = Stop(StopReason.ANSWERED)
no_syntax = Stop(StopReason.LOAD_ERROR, message={"syntax": SYNTAX})
no_load = Stop(StopReason.LOAD_ERROR, message={"load": ZERO})


def script(**message: Any) -> Stop:
    return Stop(StopReason.SCRIPT_END, message=message or None)


ROWS: list[tuple[Stop, dict[str, Any], str, str, str, int | None]] = [
    # why, how it ended, status, type and message of the error, its line
    (answered, {}, "passed", "", "", None),
    (answered, KILLED, "passed", "", "", None),  # by us, since it waited for another request
    (answered, {"overflowed": True}, "output_limit", "OutputLimit", "more than 3 KiB were printed", None),
    (time_up, KILLED, "timeout", "Timeout", "no answer within 1.5 s", 7),
    (Stop(StopReason.TIME_LIMIT), KILLED, "timeout", "Timeout", "no answer within 1.5 s", None),
    (time_up, {"overflowed": True}, "timeout", "Timeout", "no answer within 1.5 s", 7),
    (printed, KILLED, "output_limit", "OutputLimit", "more than 3 KiB were printed", None),
    (no_syntax, {"status": 1 << 8}, "syntax_error", "SyntaxError", "invalid", 4),
    (no_syntax, {"overflowed": True}, "syntax_error", "SyntaxError", "invalid", 4),
    (no_load, {"status": 1 << 8}, "runtime_error", "ZeroDivisionError", "by zero", 2),
    (Stop(StopReason.LOAD_ERROR, message={"load": MEMORY}), {}, "memory_limit", "Full", "", 1),
    (exited, {}, "runtime_error", "SystemExit", "the program ended (status 0) before its tests", None),
    (exited, {"status": 3 << 8}, "runtime_error", "SystemExit", "the program ended (status 3) before its tests", None),
    (exited, {"overflowed": True}, "output_limit", "OutputLimit", "more than 3 KiB were printed", None),
    (exited, {"status": signal.SIGSEGV | 0x80}, "runtime_error", "SIGSEGV", "the program was killed by SIGSEGV", None),
    (exited, KILLED, "runtime_error", "SIGKILL", "the program was killed by SIGKILL", None),
    (exited, {"status": 40}, "runtime_error", "signal 40", "the program was killed by signal 40", None),
    (exited, {"status": signal.SIGXCPU}, "timeout", "Timeout", "the program used up its processor time", None),
    (exited, {"status": signal.SIGSYS}, "violation", "Violation", "the program made a forbidden system call", None),
    (script(end=0), {}, "passed", "", "", None),
    (script(end=0), KILLED, "passed", "", "", None),
    (script(end=5), {"status": 5 << 8}, "runtime_error", "SystemExit", "exit status 5", None),
    (script(end=1, error=ZERO), {"status": 1 << 8}, "runtime_error", "ZeroDivisionError", "by zero", 2),
    (script(end=1, error=MEMORY), {"status": 1 << 8}, "memory_limit", "Full", "", 1),
    (script(end=0), {"overflowed": True}, "output_limit", "OutputLimit", "more than 3 KiB were printed", None),
    (script(), {}, "passed", "", "", None),  # `os._exit(0)`
    (script(), {"status": 2 << 8}, "runtime_error", "SystemExit", "exit status 2", None),
    (script(), {"status": signal.SIGABRT}, "runtime_error", "SIGABRT", "the program was killed by SIGABRT", None),
    (script(), {"status": signal.SIGXCPU}, "timeout", "Timeout", "the program used up its processor time", None),
    (script(strange=1), {}, "passed", "", "", None),  # a message that no program of ours sends: what was printed counts
]


@pytest.mark.parametrize(("stop", "end", "status", "kind", "message", "line"), ROWS)
def test_row(stop: Stop, end: dict[str, Any], status: str, kind: str, message: str, line: int | None) -> None:
    decided, error = decide(stop, process_exit(**end), LIMITS)
    assert decided == status
    if status == "passed":
        assert error is None
    else:
        assert error is not None
        assert (error.type, error.message, error.line) == (kind, message, line)


@pytest.mark.parametrize("stop", [answered, time_up, printed, exited, no_syntax, no_load, script(end=0), script()])
def test_what_the_kernel_and_the_sandbox_saw_comes_before_all_else(stop: Stop) -> None:
    end = process_exit(status=signal.SIGKILL, out_of_memory=True, overflowed=True)
    text = "its processes together took more than 64 MB"
    assert decide(stop, end, LIMITS) == ("memory_limit", ErrorRecord("MemoryLimit", text))
    end = process_exit(status=signal.SIGKILL, out_of_memory=True, overflowed=True, forbidden_call="execve")
    assert decide(stop, end, LIMITS) == ("violation", ErrorRecord("Violation", "forbidden: execve"))


@pytest.mark.parametrize("record", [None, 5, [], {}, {"line": -1, "classes": 3}, {"line": True, "message": {"a": 1}}])
def test_an_error_that_a_program_forged_has_right_types(record: Any) -> None:
    error = parse_error(record)
    assert (error.type, error.line, error.end_line, error.classes, error.incomplete) == (
        "Exception",
        None,
        None,
        (),
        False,
    )


def test_a_reported_error_keeps_its_lines_and_its_length() -> None:
    record = {"type": "E" * 300, "message": "m" * 900, "classes": ["C"] * 50, "line": 3, "end_line": 2}
    error = parse_error(record)
    assert (len(error.type), len(error.message), len(error.classes)) == (100, 500, 20)
    assert (error.line, error.end_line) == (3, 3)
    assert parse_error(record | {"end_line": 9}).end_line == 9


def process_exit(**fields: Any) -> ProcessExit:
    ordinary = {"status": 0, "cpu_seconds": 0.1, "forbidden_call": "", "stdout": b""}
    return ProcessExit(**{**ordinary, "out_of_memory": False, "overflowed": False, **fields})
