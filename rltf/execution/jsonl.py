"""One line of the judge's input as a job, and a verdict as one line of its output."""

from __future__ import annotations

import json
import math
from typing import Any

from rltf.execution import option_ranges
from rltf.types import AssertTest, CallTest, CheckTest, ErrorReport, Job, StdioTest, Test, Verdict

_FIELDS: dict[str, dict[str, type]] = {
    "assert": {"code": str},
    "stdio": {"stdin": str, "stdout": str},
    "call": {"function": str, "args": list, "expected": object},
    "check": {"code": str, "entry_point": str},
}


class InvalidInput(ValueError):
    """A line that is no job. `id` is what the line gave, or None."""

    def __init__(self, message: str, id: Any = None) -> None:
        super().__init__(message)
        self.id = id


def parse(line: bytes) -> tuple[Any, Job]:
    """The id and the job of a line.

    Raises:
        InvalidInput: What is wrong, in one sentence.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as e:
        raise InvalidInput(f"not JSON: {e}") from None
    if not isinstance(row, dict):
        raise InvalidInput(f"expected a JSON object, found {_kind(row)}")
    key = row.get("id")
    try:
        if "id" not in row:
            raise InvalidInput("`id` is missing")
        program, setup = row.get("program"), row.get("setup") or ""
        if not isinstance(program, str):
            raise InvalidInput(f"`program` is {_kind(program)}: expected a string")
        if not isinstance(setup, str):
            raise InvalidInput(f"`setup` is {_kind(setup)}: expected a string")
        tests = row.get("tests")
        if not isinstance(tests, list) or not tests:
            raise InvalidInput(f"`tests` is {_kind(tests)}: expected a list of at least one test")
        timeout, memory = _limit("timeout", row.get("timeout")), _limit("memory_mb", _whole(row.get("memory_mb")))
        coverage = row.get("coverage", False)
        if not isinstance(coverage, bool):
            raise InvalidInput(f"`coverage` is {_kind(coverage)}: expected true or false")
        parsed = tuple(_test(i, test) for i, test in enumerate(tests))
        return key, Job(program, parsed, setup, timeout, memory, coverage)
    except InvalidInput as e:
        e.id = key
        raise


def _test(at: int, row: Any) -> Test:
    where = f"tests[{at}]"
    if not isinstance(row, dict) or row.get("kind") not in _FIELDS:
        found = repr(row.get("kind")) if isinstance(row, dict) else _kind(row)
        raise InvalidInput(f"{where} is {found}: expected kind assert, stdio, call or check")
    for name, kind in _FIELDS[row["kind"]].items():
        if name not in row or not isinstance(row[name], kind):
            raise InvalidInput(f"{where}.{name} is {_kind(row.get(name))}: expected {kind.__name__}")
    if row["kind"] == "call":
        return CallTest(row["function"], tuple(row["args"]), row["expected"])
    if row["kind"] == "stdio":
        return StdioTest(row["stdin"], row["stdout"])
    for part in ("code",):
        _compiles(f"{where}.{part}", row[part])
    return AssertTest(row["code"]) if row["kind"] == "assert" else CheckTest(row["code"], row["entry_point"])


def _compiles(where: str, text: str) -> None:
    try:
        compile(text, "<test>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise InvalidInput(f"{where} does not compile: {e}") from None


def _limit(name: str, value: Any) -> Any:
    """The limit of a job; None where the line has none."""
    if value is not None:
        try:
            option_ranges.require_limit(name, value, f"`{name}`")
        except ValueError as e:
            raise InvalidInput(str(e)) from None
    return value


def _whole(value: Any) -> Any:
    """A fraction of a MB counts as a whole one."""
    return math.ceil(value) if isinstance(value, float) and math.isfinite(value) else value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an empty list", str: "a string", bool: "a boolean", type(None): "missing"}
    return "a list" if value and isinstance(value, list) else names.get(type(value), "a number")


def render(key: Any, verdict: Verdict) -> dict[str, Any]:
    """A verdict as the judge prints it; with the lines that no test executed, where they are known."""
    row = {
        "id": key,
        "outcome": verdict.outcome.value,
        "passed": verdict.passed,
        "total": verdict.total,
        "error": _error(verdict.error),
        "tests": [{"status": t.status.value, "seconds": t.seconds, "error": _error(t.error)} for t in verdict.tests],
        "seconds": verdict.seconds,
        "isolation": dict(verdict.isolation),
    }
    return row if verdict.unexecuted is None else row | {"unexecuted": list(verdict.unexecuted)}


def _error(error: ErrorReport | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "type": error.type,
        "message": error.message,
        "line": error.line,
        "end_line": error.end_line,
        "category": error.category.value,
    }
