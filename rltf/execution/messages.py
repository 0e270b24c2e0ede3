"""Messages between our own processes: a fixed header, then a body. Jobs and verdicts travel as JSON."""

from __future__ import annotations

import json
import select
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

from rltf.execution.values.bounds import deeper
from rltf.execution.values.codec import encode
from rltf.types import (
    AssertTest,
    CheckTest,
    ErrorReport,
    Job,
    Outcome,
    StdioTest,
    Test,
    TestResult,
    TextTest,
    Verdict,
    decode_verdict,
    encode_verdict,
)

_encode = json.JSONEncoder(separators=(",", ":")).encode
_raw_decode = json.JSONDecoder().raw_decode
HEADER = struct.Struct(">IBQQId")
"""Length of the body, then the other fields of a `Message` in their order."""

JOB, TESTS, FORGET, VERDICT, READY, ALIVE, WITHDRAW = range(7)
"""Kinds: a job; a test set; a test set no longer needed; a verdict; a worker that came up, with its isolation report; a
worker that has come to another test of its job; a job whose verdict nobody waits for any more."""


class Message(NamedTuple):
    """One message; fields that its kind does not use are 0."""

    kind: int
    body: bytes = b""
    job: int = 0
    """Number of the job, given by `PendingJobs`."""
    test_set: int = 0
    """Number of the test set."""
    tests: int = 0
    """Number of tests in the test set."""
    timeout: float = 0.0
    """Seconds a test of the job may take."""

    def packed(self) -> bytes:
        """The message as it travels."""
        return HEADER.pack(len(self.body), self.kind, *self[2:]) + self.body


class Unpacker:
    """Cuts a byte stream into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Adds bytes; yields every message that is complete."""
        buffer = self._buffer
        buffer += chunk
        start, size = 0, HEADER.size
        while len(buffer) - start >= size:
            length, kind, *numbers = HEADER.unpack_from(buffer, start)
            if len(buffer) - start - size < length:
                break
            body = bytes(buffer[start + size : start + size + length])
            start += size + length
            yield Message(kind, body, *numbers)
        del buffer[:start]


def wait_readable(connection: socket.socket) -> Callable[[], object]:
    """A function that waits until a stream socket can be read, to be called before `recv`: who waits in that is woken,
    for nothing, each time the other side has read what we sent."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return poll.poll


class Connection:
    """A socket to another process, which never blocks: messages are queued, and `flush` sends what it takes."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._unpacker = Unpacker()
        self._unsent = bytearray()
        self.awaits_room = False
        """Its owner waits until the other side takes more."""

    def fileno(self) -> int:
        """The descriptor, for a selector."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """True while something waits to be sent."""
        return bool(self._unsent)

    def send(self, message: bytes) -> None:
        """Queues a message."""
        self._unsent += message

    def flush(self) -> None:
        """Sends as much of what waits as the socket takes; drops it when the other side is gone, as `receive` tells."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent.clear()

    def receive(self) -> list[Message] | None:
        """Messages that are complete; None when the other side has hung up."""
        try:
            chunk = self._socket.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        return list(self._unpacker.feed(chunk)) if chunk else None

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


@dataclass(frozen=True, slots=True)
class EncodedCall:
    """A `CallTest` as the worker has it: its values stay as they travel, since they only pass through."""

    function: str
    args: list[Any]
    expected: Any
    or_in_list: bool = False
    """A list of `expected` alone is right, too."""
    tolerance: float | None = None
    kind: Literal["call"] = "call"


JudgeTest = AssertTest | CheckTest | StdioTest | EncodedCall | TextTest


def tests_to_json(tests: Sequence[Test]) -> bytes:
    """A test set as it travels. Arguments and expected values are tagged (`rltf.execution.values.codec`).

    Raises:
        CannotSend: An argument or expected value is no plain value.
    """
    rows: list[list[Any]] = []
    for test in tests:
        if test.kind == "call":
            row = ["call", test.function, [encode(a) for a in test.args], encode(test.expected)]
            rows.append(
                [*row, test.or_in_list, test.tolerance] if test.or_in_list or test.tolerance is not None else row
            )
        elif test.kind == "stdio":
            rows.append(["stdio", test.stdin, test.stdout, test.tolerance, test.checker])
        elif test.kind == "text":
            rows.append(["text", test.expected, test.tolerance])
        elif test.kind == "assert":
            rows.append(["assert", test.code])
        else:
            rows.append(["check", test.code, test.entry_point])
    return _json(rows)


def tests_from_json(text: bytes) -> tuple[JudgeTest, ...]:
    """The test set behind `tests_to_json`; the values of calls stay encoded."""
    with deeper():
        return tuple(_test(*row) for row in json.loads(text))


def _test(kind: str, *fields: Any) -> JudgeTest:
    kinds: dict[str, type[JudgeTest]] = {
        "call": EncodedCall,
        "stdio": StdioTest,
        "assert": AssertTest,
        "check": CheckTest,
        "text": TextTest,
    }
    return kinds[kind](*fields)


def tests_message(test_set: int, text: bytes, tests: int) -> bytes:
    """The message that carries a test set of so many tests, in the text of `tests_to_json`."""
    return Message(TESTS, text, test_set=test_set, tests=tests).packed()


class JobJSON(TypedDict):
    """A job as it travels: its timeout is in the message's header, its tests in a message of their own."""

    program: str
    setup: str
    coverage: bool
    memory_mb: int
    output: bool
    reference: str | None
    language: str
    answers: bool


def job_message(number: int, job: Job, timeout: float, memory_mb: int, test_set: int) -> bytes:
    """The message that submits a job.

    Args:
        number: of the job.
        job: its own limits are not read.
        timeout: seconds a test.
        memory_mb: memory of the program.
        test_set: number of its tests.
    """
    body = JobJSON(
        program=job.program,
        setup=job.setup,
        coverage=job.coverage,
        memory_mb=memory_mb,
        output=job.output,
        reference=job.reference,
        language=job.language,
        answers=job.answers,
    )
    return Message(JOB, _json(body), job=number, test_set=test_set, timeout=timeout).packed()


def job_from_json(text: bytes) -> JobJSON:
    """The body of the message that `job_message` makes."""
    job: JobJSON = _decode(text)
    return job


class UnreadableVerdict(RuntimeError):
    """A message that should be a verdict and is none; the text says what is wrong with it."""


def uniform_verdict(tests: int, status: Outcome, error: ErrorReport) -> Verdict:
    """The verdict on a program with `tests` tests of which none could be judged: each has the status and the error."""
    results = (TestResult(status, 0.0, error),) * tests
    return Verdict(status, 0, tests, error, results, isolation={"judging": "external"})


def verdict_to_json(verdict: Verdict) -> bytes:
    """A verdict as it travels to the trainer; its `isolation` holds `judging` alone."""
    return _json(encode_verdict(verdict))


def verdict_from_json(text: bytes, isolation: dict[str, str]) -> Verdict:
    """The verdict, with the sandbox's report added to its `isolation`.

    Raises:
        UnreadableVerdict: The text is no verdict.
    """
    try:
        record = _decode(text)
        return decode_verdict(record | {"isolation": isolation | record["isolation"]})
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as e:
        raise UnreadableVerdict(f"the verdict on this program cannot be read: {type(e).__name__} ({e})") from None


def _decode(text: bytes) -> Any:
    """The value of a JSON text of ours, which has no white space around it."""
    value, end = _raw_decode(string := text.decode())
    if end < len(string):
        raise ValueError("there is more than one value")
    return value


def _json(value: Any) -> bytes:
    try:
        return _encode(value).encode()
    except RecursionError:  # values as deep as the codec allows, under callers that are deep themselves
        with deeper():
            return _encode(value).encode()
