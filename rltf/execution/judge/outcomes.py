"""What the end of a child says about the test it was at."""

from __future__ import annotations

import signal
from typing import Any

from rltf.execution.judge.progress import TestProgress
from rltf.execution.sandbox.limits import Limits, OutputLimitExceeded, ProcessExit, TimeLimitExceeded
from rltf.execution.sandbox.process import SandboxedProcess

_SIGNAL_OUTCOMES = {
    signal.SIGXCPU: ("timeout", "Timeout", "the program used up its processor time"),
    signal.SIGSYS: ("violation", "Violation", "the program made a forbidden system call"),
}


def close_program(sheet: TestProgress, answer: dict[str, Any], end: ProcessExit) -> None:
    """Decides every open test of a program that does not compile or does not load."""
    if stopped := _stopped_from_outside(end, sheet.limits):
        sheet.fill(*stopped)
    elif "syntax" in answer:
        sheet.fill("syntax_error", checked(answer["syntax"]))
    else:
        sheet.fill(*program_error(answer["load"]))


def close_after_limit(
    sheet: TestProgress, child: SandboxedProcess, at: int, limit: TimeLimitExceeded | OutputLimitExceeded
) -> None:
    """Decides the test at which a program ran over a limit."""
    end = child.finish()
    sheet.cpu += end.seconds
    if stopped := _stopped_from_outside(end, sheet.limits):
        sheet.mark(at, *stopped)
    elif isinstance(limit, TimeLimitExceeded):
        text = f"no answer within {sheet.limits.timeout:g} s"
        sheet.mark(at, "timeout", plain_error("Timeout", text, limit.line))
    else:
        sheet.mark(at, "output_limit", output_error(sheet.limits))


def close_after_end(sheet: TestProgress, child: SandboxedProcess, at: int) -> None:
    """Decides the test at which a program ended without an answer."""
    end = child.finish(leaving=True)
    sheet.cpu += end.seconds
    sheet.mark(at, *(stopped_by_force(end, child, False) or _left(end)))


def finish_process(sheet: TestProgress, child: SandboxedProcess, last: int | None, leaving: bool = False) -> None:
    """Ends a child that has answered; what it did behind its last answer counts against that test."""
    end = child.finish(leaving)
    sheet.cpu += end.seconds
    if last is None:
        return
    if stopped := _stopped_from_outside(end, sheet.limits):
        sheet.mark(last, *stopped)
    elif child.overflowed:
        sheet.mark(last, "output_limit", output_error(sheet.limits))


def stopped_by_force(end: ProcessExit, child: SandboxedProcess, spoke: bool) -> tuple[str, dict[str, Any]] | None:
    """What the kernel or the sandbox did to a child, if anything; `spoke`: it had reported its own end before."""
    if stopped := _stopped_from_outside(end, child.limits):
        return stopped
    if child.overflowed:
        return "output_limit", output_error(child.limits)
    number = end.status & 0x7F
    if spoke or not number:
        return None
    if number in _SIGNAL_OUTCOMES:
        outcome, kind, text = _SIGNAL_OUTCOMES[signal.Signals(number)]
        return outcome, plain_error(kind, text)
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return "runtime_error", plain_error(name, f"the program was killed by {name}")


def _stopped_from_outside(end: ProcessExit, limits: Limits) -> tuple[str, dict[str, Any]] | None:
    if end.forbidden:
        return "violation", violation(end)
    return ("memory_limit", memory_error(limits)) if end.out_of_memory else None


def _left(end: ProcessExit) -> tuple[str, dict[str, Any]]:
    text = f"the program ended (status {end.status >> 8}) before its tests"
    return "runtime_error", plain_error("SystemExit", text)


def program_error(record: Any) -> tuple[str, dict[str, Any]]:
    """The status and the record of an exception that a child reported."""
    error = checked(record)
    return ("memory_limit" if "MemoryError" in error["classes"] else "runtime_error"), error


def checked(data: Any) -> dict[str, Any]:
    """An error record as the child sent it, made certain in its types: the child may be anyone."""
    row = data if isinstance(data, dict) else {}
    line, end = row.get("line"), row.get("end_line")
    line = line if type(line) is int and line > 0 else None
    classes = row.get("classes")
    return {
        "type": str(row.get("type", "Exception"))[:100],
        "classes": [str(c) for c in classes][:20] if isinstance(classes, list) else [],
        "message": str(row.get("message", ""))[:500],
        "line": line,
        "end_line": None if line is None else end if type(end) is int and end >= line else line,
        "incomplete": row.get("incomplete") is True,
    }


def plain_error(kind: str, message: str, line: int | None = None) -> dict[str, Any]:
    """A record of our own making."""
    return {"type": kind, "classes": [kind], "message": message, "line": line, "end_line": line}


def violation(end: ProcessExit) -> dict[str, Any]:
    """The forbidden system call that a program tried."""
    return plain_error("Violation", f"forbidden: {end.forbidden}")


def output_error(limits: Limits) -> dict[str, Any]:
    """Too much was printed."""
    return plain_error("OutputLimit", f"more than {limits.output_bytes >> 10} KiB were printed")


def memory_error(limits: Limits) -> dict[str, Any]:
    """All processes of a program together took too much."""
    return plain_error("MemoryLimit", f"its processes together took more than {limits.memory_bytes >> 20} MB")
