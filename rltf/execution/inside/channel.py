"""Length-framed messages between the child and the judge: the child's end.

The judge, which is trusted, writes marshal, the cheapest to read; the child writes JSON, which is safe to read even
where the program wrote it. Little code runs here on purpose: each page of memory that a fresh fork touches is copied.
"""

from __future__ import annotations

import json
import marshal
import os
import select
from collections.abc import Callable
from typing import Any

from rltf.execution.values.bounds import deeper

_read, _write, _getpid, _loads = os.read, os.write, os.getpid, marshal.loads
_poll, _READABLE = select.poll, select.POLLIN
_text = json.encoder.encode_basestring_ascii
_encode = json.JSONEncoder(separators=(",", ":")).encode
LIMIT = 64 << 20
"""Bytes of one message; a longer answer is not sent."""
_CHUNK = 1 << 16
_FIRST_CHUNK = 1 << 13
"""Bytes of the first read: most requests fit, and a larger buffer would be new memory."""


class Channel:
    """The child's end, over a descriptor. Its functions were looked up before the program ran.

    Processes that the program forks have a copy of it, which neither receives nor sends anything: none of them can take
    the judge's requests, answer them, or say that the program has ended.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._owner = _getpid()
        self._received = b""
        self._has_read = False
        self._wait: Callable[[], object] | None = None

    def receive(self) -> Any:
        """The next message; None at the end."""
        if _getpid() != self._owner:
            return None
        received: Any = self._received
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
            if self._has_read:
                self._await_more()
            chunk = _read(self._fd, _CHUNK if received else _FIRST_CHUNK)
            if not chunk:
                return None
            self._has_read = True
            if len(received) >= _CHUNK and type(received) is bytes:
                received = bytearray(received)  # which grows without copies
            received += chunk
        end = 4 + int.from_bytes(received[:4], "big")
        self._received = bytes(received[end:])
        return _loads(received[4:end])

    def _await_more(self) -> None:
        """Waits for all reads but the first: who waits in `read` is woken also when an answer of ours is read."""
        if self._wait is None:
            poll = _poll()
            poll.register(self._fd, _READABLE)
            self._wait = poll.poll
        self._wait()

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message; in the place of one that is too long, a message that says so."""
        try:
            body = _encode(message).encode()
        except RecursionError:
            with deeper():
                body = _encode(message).encode()
        self._send_body(body, message.get("n", 0))

    def send_value(self, value: Any, number: int) -> None:
        """`send({"n": number, "value": value})`, for plain values in one step."""
        kind = type(value)
        if value is None:
            body = b'{"n":%d,"value":null}' % number
        elif kind is int:
            body = b'{"n":%d,"value":%d}' % (number, value)
        elif kind is bool:
            body = b'{"n":%d,"value":%s}' % (number, b"true" if value else b"false")
        elif kind is str:
            body = b'{"n":%d,"value":%s}' % (number, _text(value).encode())
        else:
            self.send({"n": number, "value": value})
            return
        self._send_body(body, number)

    def _send_body(self, body: bytes, number: int) -> None:
        if len(body) > LIMIT:
            body = b'{"n":%d,"unsendable":"the value is larger than %d MB"}' % (number, LIMIT >> 20)
        unsent: Any = len(body).to_bytes(4, "big") + body if _getpid() == self._owner else b""
        if len(unsent) > _CHUNK:
            unsent = memoryview(unsent)  # whose rest is no copy
        while unsent:
            unsent = unsent[_write(self._fd, unsent) :]
