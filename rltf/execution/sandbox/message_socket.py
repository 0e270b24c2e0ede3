"""A socket to a process of the sandbox, as the worker has it: it never blocks, and trusts nothing that comes."""

from __future__ import annotations

import _socket
import json
import marshal
import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

MAX_REPLAYED = 1 << 16
"""Bytes that a socket takes at once on any host, so that nothing blocks whoever replays them."""
_DONTWAIT = socket.MSG_DONTWAIT


def framed(message: Any) -> bytes:
    """A message as it travels to a process of the sandbox."""
    body = marshal.dumps(message)
    return len(body).to_bytes(4, "big") + body


class MessageSocket:
    """Sends marshal, which is cheap and which we write alone; receives JSON, which is safe whoever wrote it.

    Args:
        channel: one end of a stream socket.
        limit: bytes of one received message; after a longer one nothing more is read.
    """

    def __init__(self, channel: _socket.socket, limit: int) -> None:
        self._socket = channel
        self._limit = limit
        self._unsent = memoryview(b"")
        self._received = bytearray()
        self.open = True
        """False once the other side hung up, or sent what cannot be a message."""

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    @property
    def unsent(self) -> bool:
        """True while something waits to be sent."""
        return bool(self._unsent)

    @property
    def received(self) -> bytearray:
        """What came and is no complete message yet."""
        return self._received

    def send(self, message: Any, descriptors: Sequence[int] = ()) -> None:
        """Queues a message; what does not leave at once leaves by `push`. Descriptors go with its first bytes,
        which nothing unsent may precede."""
        self._unsent = memoryview(bytes(self._unsent) + framed(message))
        if descriptors:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(descriptors)}i", *descriptors))
            try:
                self._unsent = self._unsent[self._socket.sendmsg([self._unsent], [rights], _DONTWAIT) :]
            except OSError:  # it is gone: between two of its jobs there is room for a message
                self.open = False
        self.push()

    def send_bytes(self, messages: bytes) -> None:
        """Queues messages that are framed already."""
        self._unsent = memoryview(bytes(self._unsent) + messages if self._unsent else messages)
        self.push()

    def push(self) -> None:
        """Sends as much as the other side takes."""
        try:
            while self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent, _DONTWAIT) :]
        except BlockingIOError:
            return
        except OSError:
            self._unsent = memoryview(b"")

    def flush(self, seconds: float) -> None:
        """Waits until everything is sent, to a process that is known to read, or for so long at most."""
        give_up = time.monotonic() + seconds
        while self._unsent and time.monotonic() < give_up:
            select.select([], [self._socket], [], 0.1)
            self.push()

    def pull(self) -> bool:
        """Reads what is there; False when nothing was."""
        try:
            chunk = self._socket.recv(1 << 16, _DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self.open = False
            return False
        self._received += chunk
        return True

    def pull_bytes(self, count: int, seconds: float) -> None:
        """Reads so many bytes, or fewer when the other side hangs up or takes longer."""
        whole, fraction = divmod(max(seconds, 1e-3), 1.0)
        self._socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", int(whole), int(fraction * 1e6))
        )
        with suppress(OSError):
            self._received += self._socket.recv(count, socket.MSG_WAITALL)

    def message(self) -> dict[str, Any] | None:
        """The next complete message; `{"unsendable": why}` for what is none; None while there is none."""
        received = self._received
        if len(received) < 4:
            return None
        size = int.from_bytes(received[:4], "big")
        if size > self._limit:
            received.clear()
            self.open = False
            return {"unsendable": "the message is too large"}
        if len(received) < 4 + size:
            return None
        body = bytes(received[4 : 4 + size])
        del received[: 4 + size]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
        return message if isinstance(message, dict) else {"unsendable": "a malformed message"}

    def hang_up(self) -> None:
        """Closes our end."""
        self._socket.close()
        self.open = False

    def detach(self) -> int:
        """The descriptor, which from now on is the caller's."""
        self.open = False
        return self._socket.detach()

    def replayed(self) -> int:
        """A descriptor, the caller's, at which what came and was not taken, at most `MAX_REPLAYED` bytes, is read once
        more, and then the end."""
        ours, theirs = _socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MAX_REPLAYED)
        ours.send(self._received, _DONTWAIT)
        ours.close()
        self.hang_up()
        return theirs.detach()
