"""Messages between our processes: a length, then a body. Jobs and verdicts as JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from rltf.execution.codec import decode, encode
from rltf.types import Category, ErrorReport, Job, Outcome, Test, TestResult, Verdict

HEADER = struct.Struct(">IBQQ")
"""Length of the body, kind, job number, test-set number."""

JOB, TESTS, FORGET, VERDICT, READY, LEARNED = range(6)
"""Kinds: a job; a test set; a test set no longer needed; a verdict; a worker that came up; what the tests of a set
ask of every program."""


def pack(kind: int, body: bytes = b"", job: int = 0, tests: int = 0) -> bytes:
    """One message."""
    return HEADER.pack(len(body), kind, job, tests) + body


class Unpacker:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes, int, int]]:
        """Adds bytes; yields (kind, body, job, tests) of every message that is whole."""
        buffer = self._data
        buffer += data
        start, size = 0, HEADER.size
        while len(buffer) - start >= size:
            length, kind, job, tests = HEADER.unpack_from(buffer, start)
            if len(buffer) - start - size < length:
                break
            body = bytes(buffer[start + size : start + size + length])
            start += size + length
            yield kind, body, job, tests
        del buffer[:start]


def tests_to_json(tests: Sequence[Test]) -> bytes:
    """A test set. Arguments and expected values are tagged (`rltf.execution.codec`).

    Raises:
        CannotSend: An argument or expected value is no plain value.
    """
    rows: list[list[Any]] = []
    for test in tests:
        if test.kind == "call":
            rows.append(["call", test.function, [encode(a) for a in test.args], encode(test.expected)])
        elif test.kind == "stdio":
            rows.append(["stdio", test.stdin, test.stdout])
        elif test.kind == "assert":
            rows.append(["assert", test.code])
        else:
            rows.append(["check", test.code, test.entry_point])
    return _json(rows)


def tests_from_json(text: bytes) -> list[list[Any]]:
    """Rows `[kind, ...]`; a call's expected value is decoded, its arguments stay as they travel."""
    rows: list[list[Any]] = json.loads(text)
    for row in rows:
        if row[0] == "call":
            row[3] = decode(row[3])
    return rows


def job_to_json(job: Job) -> bytes:
    """A job without its tests. The supervisor reads the timeout, the last field but one."""
    return _json([job.program, job.setup, job.coverage, job.timeout, job.memory_mb])


def verdict_to_json(verdict: dict[str, Any]) -> bytes:
    """The worker's verdict, a plain dict (see `verdict_from_json`)."""
    return _json(verdict)


def verdict_from_json(text: bytes, isolation: dict[str, str]) -> Verdict:
    """The record that the rest of `rltf` reads."""
    row = json.loads(text)
    judging = row["judging"]
    return Verdict(
        outcome=Outcome(row["outcome"]),
        passed=row["passed"],
        total=len(row["tests"]),
        error=_error(row["error"]),
        tests=tuple(TestResult(Outcome(status), seconds, _error(error)) for status, seconds, error in row["tests"]),
        seconds=row["seconds"],
        isolation=isolation | {"judging": judging},
        unexecuted=None if (lines := row["unexecuted"]) is None else tuple(lines),
    )


def _error(row: list[Any] | None) -> ErrorReport | None:
    if row is None:
        return None
    kind, message, line, end_line, category = row
    return ErrorReport(kind, message, line, end_line, Category(category))


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
