"""Length-framed messages between the child and the judge: the child's end.

The judge, which is trusted, writes marshal, the cheapest to read; the child writes JSON, which is safe to read whoever
wrote it. Little code runs here on purpose: each page of memory that a fresh fork touches is a page to be copied.
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

    Processes that the program forks have a copy of it; it is deaf and dumb there, so that none of them takes the
    judge's questions, answers them, or says that the program has ended.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._owner = _getpid()
        self._data = b""
        self._held: list[bytes] = []

    def receive(self) -> Any:
        """The next message; None at the end."""
        if _getpid() != self._owner:
            return None
        data = self._data
        while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
            chunk = _read(self._fd, _CHUNK)
            if not chunk:
                return None
            data += chunk
        end = 4 + int.from_bytes(data[:4], "big")
        self._data = data[end:]
        return _loads(data[4:end])

    def send(self, message: dict[str, Any], hold: bool = False) -> None:
        """Sends a message whole; one that is too long is replaced by word of that. `hold`: together with the next."""
        self._put(_encode(message).encode(), hold)

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
        self._put(body, False)

    def _put(self, body: bytes, hold: bool) -> None:
        if len(body) > LIMIT:
            body = b'{"unsendable":"the value is too large"}'
        self._held.append(len(body).to_bytes(4, "big") + body)
        if hold:
            return
        data = b"".join(self._held) if _getpid() == self._owner else b""
        self._held.clear()
        while data:
            data = data[_write(self._fd, data) :]
