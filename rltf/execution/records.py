"""Error records as the judge keeps them: `type`, `classes`, `message`, `line`, `end_line`, `incomplete`."""

from __future__ import annotations

from typing import Any

from rltf.execution.limits import End, Limits


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


def violation(end: End) -> dict[str, Any]:
    """The forbidden system call that a program tried."""
    return plain_error("Violation", f"forbidden: {end.forbidden}")


def output_error(limits: Limits) -> dict[str, Any]:
    """Too much was printed."""
    return plain_error("OutputLimit", f"more than {limits.output_bytes >> 10} KiB were printed")


def memory_error(limits: Limits) -> dict[str, Any]:
    """All processes of a program together took too much."""
    return plain_error("MemoryLimit", f"its processes together took more than {limits.memory_bytes >> 20} MB")
