"""The grader's ends of its two sockets: to the program's process, whose words are not trusted, and to the worker."""

from __future__ import annotations

import array
import json
import marshal
import re
import socket
from typing import Any

from rltf.execution.grader.page import Page
from rltf.execution.grader.requests import ProgramStopped
from rltf.execution.inside.channel import LIMIT

_PLACE = re.compile(rb'File "<program>", line (\d{1,7})\b')
_DUMP_BEGINNING = b"Stac"
"""What the traceback begins with that a process writes when it is asked where it is; no length of a message."""
_CHUNK = 1 << 16


class ProgramConnection:
    """Messages to and from the program's process; each waits until the other side is ready.

    Args:
        channel: socket to the process.
        page: where waiting for the program is noted.
    """

    def __init__(self, channel: socket.socket, page: Page) -> None:
        self._channel = channel
        self._page = page
        self._received = bytearray()

    def send(self, message: Any) -> None:
        """Sends a request.

        Raises:
            ProgramStopped: The process is gone.
        """
        body = marshal.dumps(message)
        self._page.begin_request()
        try:
            self._channel.sendall(len(body).to_bytes(4, "big") + body)
        except OSError:
            raise ProgramStopped from None

    def receive(self) -> dict[str, Any]:
        """The next message; one that is none reads `{"unsendable": why}`.

        Raises:
            ProgramStopped: The process is gone.
        """
        received, receive = self._received, self._channel.recv
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
            try:
                chunk = receive(_CHUNK)
            except OSError:
                chunk = b""
            if not chunk:
                raise ProgramStopped
            received += chunk
            if received[:4] == _DUMP_BEGINNING:
                self._read_place()
            elif len(received) >= 4 and int.from_bytes(received[:4], "big") > LIMIT:
                self._channel.close()  # what follows has no beginning
                return {"unsendable": "the value is too large", "last": True}
        end = 4 + int.from_bytes(received[:4], "big")
        body = bytes(received[4:end])
        del received[:end]
        self._page.end_request()
        try:
            message = json.loads(body)
        except (ValueError, RecursionError, MemoryError):
            message = None
        return message if isinstance(message, dict) else {"unsendable": "a malformed message"}

    def _read_place(self) -> None:
        """Notes the line of a dump, which the process was asked for since its time is up; it ends after that."""
        received = self._received
        while len(received) < _CHUNK and (place := _PLACE.search(received)) is None:
            chunk = self._channel.recv(_CHUNK)
            if not chunk:
                raise ProgramStopped
            received += chunk
        if place is not None:
            self._page.place(int(place[1]))
        while self._channel.recv(_CHUNK):
            continue
        raise ProgramStopped


class WorkerConnection:
    """Jobs from the worker, results to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
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

    def send(self, message: dict[str, Any]) -> None:
        """Sends a result."""
        body = json.dumps(message, separators=(",", ":")).encode()
        self._socket.sendall(len(body).to_bytes(4, "big") + body)
