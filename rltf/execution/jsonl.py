"""Lines of the judge's command: a job as one line of input, a verdict as one line of output."""

from __future__ import annotations

import json
import math
from typing import Any

from rltf.execution.sandbox.limits import require_limit
from rltf.types import AssertTest, CallTest, CheckTest, Job, StdioTest, Test, Verdict, encode_verdict
from rltf.validation import OptionError

_FIELDS: dict[str, dict[str, type]] = {
    "assert": {"code": str},
    "stdio": {"stdin": str, "stdout": str},
    "call": {"function": str, "args": list, "expected": object},
    "check": {"code": str, "entry_point": str},
}


class InvalidInput(ValueError):
    """A line that is no job; `id` is the line's own, or None."""

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
        raise InvalidInput(f"expected a JSON object, found {_json_type(row)}")
    key = row.get("id")
    try:
        if "id" not in row:
            raise InvalidInput("`id` is missing")
        program, setup = row.get("program"), row.get("setup") or ""
        if not isinstance(program, str):
            raise InvalidInput(f"`program` is {_json_type(program)}: expected a string")
        if not isinstance(setup, str):
            raise InvalidInput(f"`setup` is {_json_type(setup)}: expected a string")
        tests = row.get("tests")
        if not isinstance(tests, list) or not tests:
            raise InvalidInput(f"`tests` is {_json_type(tests)}: expected a list of at least one test")
        timeout, memory = _limit("timeout", row.get("timeout")), _limit("memory_mb", _rounded_up(row.get("memory_mb")))
        coverage = row.get("coverage", False)
        if not isinstance(coverage, bool):
            raise InvalidInput(f"`coverage` is {_json_type(coverage)}: expected true or false")
        parsed = tuple(_test(i, test) for i, test in enumerate(tests))
        return key, Job(program, parsed, setup, timeout, memory, coverage)
    except InvalidInput as e:
        e.id = key
        raise


def _test(at: int, row: Any) -> Test:
    where = f"tests[{at}]"
    if not isinstance(row, dict) or row.get("kind") not in _FIELDS:
        kind = repr(row.get("kind")) if isinstance(row, dict) else _json_type(row)
        raise InvalidInput(f"{where} is {kind}: expected kind assert, stdio, call or check")
    for name, field_type in _FIELDS[row["kind"]].items():
        if name not in row or not isinstance(row[name], field_type):
            raise InvalidInput(f"{where}.{name} is {_json_type(row.get(name))}: expected {field_type.__name__}")
    if row["kind"] == "call":
        return CallTest(row["function"], tuple(row["args"]), row["expected"])
    if row["kind"] == "stdio":
        return StdioTest(row["stdin"], row["stdout"])
    _check_compiles(f"{where}.code", row["code"])
    return AssertTest(row["code"]) if row["kind"] == "assert" else CheckTest(row["code"], row["entry_point"])


def _check_compiles(where: str, text: str) -> None:
    try:
        compile(text, "<test>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as e:
        raise InvalidInput(f"{where} does not compile: {e}") from None


def _limit(name: str, value: Any) -> Any:
    """The limit of a job; None where the line has none."""
    if value is not None:
        try:
            require_limit(name, value)
        except OptionError as e:
            raise InvalidInput(f"`{name}` is {value!r}: expected {e.expected}") from None
    return value


def _rounded_up(value: Any) -> Any:
    """A number with a fraction as the next whole one; anything else as it is."""
    return math.ceil(value) if isinstance(value, float) and math.isfinite(value) else value


def _json_type(value: Any) -> str:
    names = {dict: "an object", list: "an empty list", str: "a string", bool: "a boolean", type(None): "missing"}
    return "a list" if value and isinstance(value, list) else names.get(type(value), "a number")


def render(key: Any, verdict: Verdict) -> dict[str, Any]:
    """A verdict as the judge prints it; `unexecuted` is absent where those lines are not known."""
    row: dict[str, Any] = {"id": key, **encode_verdict(verdict)}
    if verdict.unexecuted is None:
        del row["unexecuted"]
    return row
