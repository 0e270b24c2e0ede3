"""Jobs as JSON objects of the judge's command line: the other way than `rltf.execution.jsonl.parse`."""

from __future__ import annotations

import json
from typing import Any

from rltf.types import Job, Test


def row_of_job(key: int, job: Job) -> dict[str, Any]:
    """The object that `rltf judge` reads.

    Args:
        key: its id.
        job: to be judged.

    Raises:
        ValueError: a test holds a value that JSON has no form for, such as a tuple or a set.

    >>> from rltf.types import CallTest
    >>> row_of_job(1, Job("x = 1", (CallTest("f", (1,), 2),)))["tests"]
    [{'kind': 'call', 'function': 'f', 'args': [1], 'expected': 2}]
    """
    row: dict[str, Any] = {"id": key, "program": job.program, "setup": job.setup, "tests": list(map(_row, job.tests))}
    row |= {name: value for name in ("timeout", "memory_mb") if (value := getattr(job, name)) is not None}
    row |= {name: True for name in ("coverage", "output", "answers") if getattr(job, name)}
    return row


def _row(test: Test) -> dict[str, Any]:
    if test.kind == "assert":
        return {"kind": "assert", "code": test.code}
    if test.kind == "check":
        return {"kind": "check", "code": test.code, "entry_point": test.entry_point}
    if test.kind == "stdio":
        extra = {"tolerance": test.tolerance, "checker": test.checker or None}
        return _without_none({"kind": "stdio", "stdin": test.stdin, "stdout": test.stdout, **extra})
    if test.kind == "text":
        return _without_none({"kind": "text", "expected": test.expected, "tolerance": test.tolerance})
    row = {"kind": "call", "function": test.function, "args": list(test.args), "expected": test.expected}
    try:
        same = json.loads(json.dumps(row)) == row
    except (TypeError, ValueError, RecursionError):
        same = False
    if not same:
        raise ValueError(f"a test of {test.function} holds a value that JSON has no form for: write it as an assert")
    return row | _without_none({"or_in_list": test.or_in_list or None, "tolerance": test.tolerance})


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
