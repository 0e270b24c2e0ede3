"""Messages between our processes: a length, then a body. Jobs and verdicts as JSON."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

from rltf.execution.values.codec import decode, encode
from rltf.types import Category, ErrorReport, Job, Outcome, Test, TestResult, Verdict

HEADER = struct.Struct(">IBQQ")
"""Length of the body, kind, job number, test-set number."""

JOB, TESTS, FORGET, VERDICT, READY, LEARNED, ALIVE = range(7)
"""Kinds: a job; a test set; a test set no longer needed; a verdict; a worker that came up; what the tests of a set
ask of every program; a worker that has come to another test of its job."""

ErrorRow = list[Any]
"""Type, message, first line, last line, category."""


class VerdictRow(TypedDict):
    """A verdict on its way to the trainer: JSON's types alone, and every field whoever makes it."""

    outcome: str
    passed: int
    error: ErrorRow | None
    tests: list[list[Any]]
    """Status, seconds and error of each test."""
    seconds: float
    judging: str
    unexecuted: list[int] | None


class UnreadableVerdict(RuntimeError):
    """A message that should be a verdict and is none; the text says what is wrong with it."""


def uniform_verdict(tests: int, status: str, error: ErrorRow) -> VerdictRow:
    """The verdict on a program with `tests` tests of which none could be judged: each has the status and the error."""
    rows: list[list[Any]] = [[status, 0.0, error] for _ in range(tests)]
    return VerdictRow(
        outcome=status, passed=0, error=error, tests=rows, seconds=0.0, judging="external", unexecuted=None
    )


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


class Connection:
    """A socket to another process that never keeps us waiting: what it does not take at once is sent later."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._unpacker = Unpacker()
        self._unsent = bytearray()

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """True while something waits to be sent."""
        return bool(self._unsent)

    def send(self, message: bytes) -> None:
        """Sends as much as goes, and keeps the rest for `flush`."""
        self._unsent += message
        self.flush()

    def flush(self) -> None:
        """Sends what waits, as far as it goes. To a process that is gone nothing is sent: `receive` tells of it."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()

    def receive(self) -> list[tuple[int, bytes, int, int]] | None:
        """Messages that are whole, as `Unpacker.feed` gives them; None when the other side is gone."""
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        return list(self._unpacker.feed(data)) if data else None

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()


def tests_to_json(tests: Sequence[Test]) -> bytes:
    """A test set. Arguments and expected values are tagged (`rltf.execution.values.codec`).

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


def verdict_to_json(verdict: VerdictRow) -> bytes:
    """A verdict as it travels (see `verdict_from_json`)."""
    return _json(verdict)


def verdict_from_json(text: bytes, isolation: dict[str, str]) -> Verdict:
    """The record that the rest of `rltf` reads.

    Raises:
        UnreadableVerdict: The text is no verdict.
    """
    try:
        row: VerdictRow = json.loads(text)
        return Verdict(
            outcome=Outcome(row["outcome"]),
            passed=row["passed"],
            total=len(row["tests"]),
            error=_error(row["error"]),
            tests=tuple(TestResult(Outcome(status), seconds, _error(error)) for status, seconds, error in row["tests"]),
            seconds=row["seconds"],
            isolation=isolation | {"judging": row["judging"]},
            unexecuted=None if (lines := row["unexecuted"]) is None else tuple(lines),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        raise UnreadableVerdict(f"the verdict on this program cannot be read: {type(e).__name__} ({e})") from None


def _error(row: ErrorRow | None) -> ErrorReport | None:
    if row is None:
        return None
    kind, message, line, end_line, category = row
    return ErrorReport(kind, message, line, end_line, Category(category))


def _json(data: Any) -> bytes:
    return json.dumps(data, separators=(",", ":")).encode()
