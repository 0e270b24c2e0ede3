"""Length-framed messages between the child and the judge: the child's end.

The judge, which is trusted, writes marshal, the cheapest to read; the child writes JSON, which is safe to read even
where the program wrote it. Little code runs here on purpose: each page of memory that a fresh fork touches is copied.
"""

from __future__ import annotations

import json
import marshal
import os
from typing import Any

_read, _write, _getpid, _loads = os.read, os.write, os.getpid, marshal.loads
_text = json.encoder.encode_basestring_ascii
_encode = json.JSONEncoder(separators=(",", ":")).encode
LIMIT = 16 << 20
"""Bytes of one message; a longer answer is not sent."""
_CHUNK = 1 << 16


class Channel:
    """The child's end, over a descriptor. Its functions were looked up before the program ran.

    Processes that the program forks have a copy of it, which neither receives nor sends anything: none of them can take
    the judge's requests, answer them, or say that the program has ended.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._owner = _getpid()
        self._received = b""

    def receive(self) -> Any:
        """The next message; None at the end."""
        if _getpid() != self._owner:
            return None
        received = self._received
        while len(received) < 4 or len(received) < 4 + int.from_bytes(received[:4], "big"):
            chunk = _read(self._fd, _CHUNK)
            if not chunk:
                return None
            received += chunk
        end = 4 + int.from_bytes(received[:4], "big")
        self._received = received[end:]
        return _loads(received[4:end])

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message; in the place of one that is too long, a message that says so."""
        self._send_body(_encode(message).encode())

    def send_value(self, value: Any) -> None:
        """`send({"value": value})`, for plain values in one step."""
        kind = type(value)
        if value is None:
            body = b'{"value":null}'
        elif kind is int:
            body = b'{"value":%d}' % value
        elif kind is bool:
            body = b'{"value":true}' if value else b'{"value":false}'
        elif kind is str:
            body = b'{"value":' + _text(value).encode() + b"}"
        else:
            body = _encode({"value": value}).encode()
        self._send_body(body)

    def _send_body(self, body: bytes) -> None:
        if len(body) > LIMIT:
            body = b'{"unsendable":"the value is too large"}'
        unsent = len(body).to_bytes(4, "big") + body if _getpid() == self._owner else b""
        while unsent:
            unsent = unsent[_write(self._fd, unsent) :]
