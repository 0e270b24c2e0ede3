"""The grader's ends of its two sockets: to the program's process, whose words are not trusted, and to the worker."""

from __future__ import annotations

import array
import json
import marshal
import os
import re
import select
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NoReturn

from rltf.execution.grader.page import Page
from rltf.execution.grader.requests import ProgramStopped, reported
from rltf.execution.inside.channel import LIMIT

_PLACE = re.compile(rb'File "<program>", line (\d{1,7})\b')
_DUMP_BEGINNING = b"Stac"
"""What the traceback begins with that a process writes when it is asked where it is; no length of a message."""
_CHUNK = 1 << 16
_read, _write, _getpid, _loads = os.read, os.write, os.getpid, json.loads
_encode = json.JSONEncoder(separators=(",", ":")).encode


class NotLoaded(ProgramStopped):
    """The program does not compile, or raised an exception before any test."""


class ProgramConnection:
    """Messages to and from the program's process; each waits until the other side is ready.

    Args:
        channel: descriptor of a socket to the process.
        page: where waiting for the program is noted.
        program: the first message to the process, which leaves with the first request; None: it was sent.
        owner: process that may use it.
        received: what the process has said already.
    """

    def __init__(self, channel: int, page: Page, program: Any, owner: int, received: bytes = b"") -> None:
        self._channel = channel
        self._owner = owner
        self._page = page
        self._received = received
        self._poll = _poll_of(channel)
        self._unsent = b"" if program is None else framed(program)
        self._deaf = False
        """The process said what has no end, so nothing behind it has a beginning."""
        self.asked = False
        """A request was sent."""
        self.load_error: dict[str, Any] | None = None
        """What the process said of a program that could not be loaded."""

    def send(self, messages: Sequence[Any]) -> None:
        """Sends requests, none where the process has them all, and notes that the program has the word.

        Raises:
            ProgramStopped: The process is gone.
        """
        end_copy(self._owner)
        self._page.begin_request()
        self.asked = True
        unsent, self._unsent = b"".join((self._unsent, *map(framed, messages))), b""
        try:
            while unsent:
                unsent = unsent[_write(self._channel, unsent) :]
        except OSError:
            if not self._has_answer():  # it ended over its program, and may have said why
                raise ProgramStopped from None

    def receive(self) -> dict[str, Any]:
        """The next message; one that is none reads `{"unsendable": why}`.

        Raises:
            ProgramStopped: The process is gone.
            NotLoaded: The program could not be loaded.
        """
        received: Any = self._received
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
            if received[:4] == _DUMP_BEGINNING:
                self._read_place(received)
            if len(received) >= 4 and int.from_bytes(received[:4], "big") > LIMIT:
                self._deaf = True
                return {"unsendable": "the value is too large"}
            if len(received) >= _CHUNK and type(received) is bytes:
                received = bytearray(received)  # which grows without copies
            received += self._read()
        end = 4 + int.from_bytes(received[:4], "big")
        body, self._received = received[4:end], bytes(received[end:])
        self._page.end_request()
        try:
            message = _loads(body)
        except (ValueError, RecursionError, MemoryError):
            message = None
        if type(message) is not dict:
            return {"unsendable": "a malformed message"}
        if "syntax" in message or "load" in message:
            self.load_error = {kind: reported(message[kind]) for kind in ("syntax", "load") if kind in message}
            raise NotLoaded
        return message

    def _read(self) -> bytes:
        try:
            self._poll()  # who waits in `read` is woken also when the other side has read what we sent
            chunk = b"" if self._deaf else _read(self._channel, _CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            raise ProgramStopped
        return chunk

    def _has_answer(self) -> bool:
        return bool(select.select([self._channel], [], [], 0)[0])

    def _read_place(self, received: bytes) -> NoReturn:
        """Notes the line of a dump, which the process was asked for since its time is up; it ends after that."""
        while len(received) < _CHUNK and (place := _PLACE.search(received)) is None:
            received += self._read()
        if place is not None:
            self._page.place(int(place[1]))
        while True:
            self._read()


@lru_cache(maxsize=64)
def _poll_of(descriptor: int) -> Callable[[], object]:
    """A function that waits until a descriptor can be read."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return poll.poll


def framed(message: Any) -> bytes:
    """A message as it travels to the program's process."""
    body = marshal.dumps(message)
    return len(body).to_bytes(4, "big") + body


def end_copy(owner: int) -> None:
    """Ends this process if it is a copy that test text made of the one that decides the tests: it would go on as that
    one, and decide them once more."""
    if _getpid() != owner:
        os._exit(1)


class WorkerConnection:
    """Jobs from the worker, results to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self.owner = _getpid()
        """The process that decides the present job's tests."""
        self.job = 0
        """Number of the present job."""
        self.has_sent = False
        """A message on the present job was sent."""
        self._received = bytearray()
        self._descriptors: list[int] = []

    def receive(self) -> tuple[Any, list[int]] | None:
        """The next message and the descriptors that came with it; None when the worker has hung up."""
        received = self._received
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
            chunk, ancillary, _, _ = self._socket.recvmsg(_CHUNK, socket.CMSG_SPACE(16))
            if not chunk:
                return None
            received += chunk
            for _, _, data in ancillary:
                self._descriptors += array.array("i", data)
        end = 4 + int.from_bytes(received[:4], "big")
        message = marshal.loads(received[4:end])
        del received[:end]
        count = message["descriptors"]  # those of the next message may have come, too
        descriptors, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return message, descriptors

    def begin_job(self, number: int) -> None:
        """Another job begins."""
        self.job, self.has_sent = number, False

    def send(self, message: dict[str, Any]) -> None:
        """Sends a result of the present job."""
        end_copy(self.owner)
        self.has_sent = True
        body = _encode({**message, "job": self.job}).encode()
        self._socket.sendall(len(body).to_bytes(4, "big") + body)
