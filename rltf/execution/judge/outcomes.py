"""What becomes of a test when the judge stops waiting for its program: one pure function, `decide`."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any

from rltf.execution.sandbox.limits import GRADING_SECONDS, Limits, ProcessExit, Stop, StopReason
from rltf.types import Outcome

_LAST_LINE = 1 << 30
"""No program has so many lines."""


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An error before its category is looked up (`rltf.execution.judge.error_table`)."""

    type: str
    """Class name, or `Timeout`, `MemoryLimit`, ... for limits."""
    message: str = ""
    line: int | None = None
    end_line: int | None = None
    classes: tuple[str, ...] = ()
    """Names of the class and its bases; empty: that of `type` alone."""
    incomplete: bool = False
    """More text could complete the program, which does not compile."""


Decision = tuple[Outcome, ErrorRecord | None]
"""Status of a test, and its error."""


def decide(stop: Stop, end: ProcessExit, limits: Limits) -> Decision:
    """The status and the error of the test at which the judge stopped waiting for a program.

    What the kernel and the sandbox saw comes first, then what the judge saw, then what the program said of itself.

    Args:
        stop: Why the judge stopped waiting.
        end: How the process ended.
        limits: What it was allowed.

    Returns:
        `PASSED` without an error where nothing speaks against what the program answered or printed.
    """
    if end.forbidden_call:
        return Outcome.VIOLATION, _error("Violation", f"forbidden: {end.forbidden_call}")
    if end.out_of_memory:
        text = f"its processes together took more than {limits.memory_bytes >> 20} MB"
        return Outcome.MEMORY_LIMIT, _error("MemoryLimit", text)
    match stop.reason:
        case StopReason.TIME_LIMIT:
            return Outcome.TIMEOUT, _error("Timeout", f"no answer within {limits.timeout:g} s", stop.line)
        case StopReason.LOAD_ERROR:
            return _not_loaded(stop.message or {})
    if stop.reason is StopReason.OUTPUT_LIMIT or end.overflowed:
        return Outcome.OUTPUT_LIMIT, _error("OutputLimit", f"more than {limits.output_bytes >> 10} KiB were printed")
    match stop.reason:
        case StopReason.EXIT:
            text = f"the program ended (status {end.status >> 8}) before its tests"
            return _killed(end.status) or (Outcome.RUNTIME_ERROR, _error("SystemExit", text))
        case StopReason.SCRIPT_END:
            return _script_end(stop.message, end.status)
        case StopReason.GRADING_TIME:
            text = f"its tests need more than {GRADING_SECONDS:g} s with what it answered"
            return Outcome.TIMEOUT, _error("Timeout", text)
        case StopReason.GRADING_LOST:
            return Outcome.WRONG_ANSWER, _error("TooLarge", "its tests need too much memory with what it answered")
        case StopReason.GRADING_FAULT:
            text = "the test does not come to an end, or needs too much memory, before it asks the program"
            return Outcome.UNJUDGEABLE, _error("Unjudgeable", text)
    return Outcome.PASSED, None


def program_error(record: Any) -> Decision:
    """The decision on a test in which the program raised the exception that its process reported."""
    error = parse_error(record)
    return (Outcome.MEMORY_LIMIT if "MemoryError" in error.classes else Outcome.RUNTIME_ERROR), error


def parse_error(record: Any) -> ErrorRecord:
    """An error that a program's process reported, with right types and lengths whatever the program wrote."""
    row = record if isinstance(record, dict) else {}
    line, end_line, classes = row.get("line"), row.get("end_line"), row.get("classes")
    line = line if type(line) is int and 0 < line <= _LAST_LINE else None
    return ErrorRecord(
        type=_text(row.get("type"), 100) or "Exception",
        message=_text(row.get("message"), 500),
        line=line,
        end_line=line if line is None or type(end_line) is not int else min(max(line, end_line), _LAST_LINE),
        classes=tuple(_text(c, 100) for c in classes[:20]) if isinstance(classes, list) else (),
        incomplete=row.get("incomplete") is True,
    )


def _text(value: Any, length: int) -> str:
    """The beginning of a text that a program's process sent; nothing of anything else, whose `str` may fail."""
    return value[:length] if type(value) is str else ""


def _not_loaded(message: dict[str, Any]) -> Decision:
    if "syntax" in message:
        return Outcome.SYNTAX_ERROR, parse_error(message["syntax"])
    return program_error(message["load"])


def _script_end(message: dict[str, Any] | None, status: int) -> Decision:
    if message is None and (killed := _killed(status)):
        return killed
    if message is not None and message.get("error"):
        return program_error(message["error"])
    if exit_status := status >> 8 if message is None else message.get("end"):
        is_exit_status = type(exit_status) is int and abs(exit_status) < 1 << 32
        return Outcome.RUNTIME_ERROR, _error("SystemExit", f"exit status {exit_status if is_exit_status else 1}")
    return Outcome.PASSED, None


def _killed(status: int) -> Decision | None:
    """The decision on a program that a signal ended; None for one that ended by itself."""
    number = status & 0x7F
    if not number:
        return None
    if number == signal.SIGXCPU:
        return Outcome.TIMEOUT, _error("Timeout", "the program used up its processor time")
    if number == signal.SIGSYS:
        return Outcome.VIOLATION, _error("Violation", "the program made a forbidden system call")
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return Outcome.RUNTIME_ERROR, _error(name, f"the program was killed by {name}")


def _error(kind: str, message: str, line: int | None = None) -> ErrorRecord:
    return ErrorRecord(kind, message, line, line)
