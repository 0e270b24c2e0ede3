"""One running program, seen from the trusted side: messages, output, clocks, and its end."""

from __future__ import annotations

import _socket
import contextlib
import json
import marshal
import os
import re
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from rltf.execution.inside.channel import LIMIT
from rltf.execution.isolation import seccomp
from rltf.execution.isolation.memory import MemoryGroup
from rltf.execution.sandbox.control import DUMP_SIGNAL_OFFSET, ENDED, REAP, STOP_SIGNAL_OFFSET, SURVIVORS
from rltf.execution.sandbox.limits import Limits, OutputLimitExceeded, ProcessExit, TimeLimitExceeded, ZygoteLost
from rltf.execution.sandbox.process_tree import kill_descendants

_IN, _OUT, _GONE = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL
_LINE = re.compile(rb'File "<program>", line (\d+)')
_PATIENCE = 4.0
"""Milliseconds after which a program is one of those that take long."""
_MOMENT = 0.005
"""Seconds in which a program that has answered may end by itself; saves a signal."""
_AGAIN = 0.02
"""Seconds after which the zygote is told to stop once more, lest the first time came before it had forked."""
_SLOW_HOST = 12.0
"""A program gets at most this many times its limit by the wall clock, however long it waited for a core."""


@dataclass(frozen=True)
class ZygoteLink:
    """The ways from the trusted side to a running zygote."""

    control: socket.socket
    pid: int
    """Process id of the zygote as we see it."""
    listener: int | None
    """Where forbidden calls of programs are announced; None where the kernel kills the caller instead."""
    memory: MemoryGroup | None
    """Counts the memory of all processes of a program, where there is such a group."""

    def stop_program(self) -> None:
        """Has the zygote kill its program; without effect when there is none."""
        with contextlib.suppress(ProcessLookupError):  # that the zygote is lost shows at its control socket
            os.kill(self.pid, signal.SIGRTMAX - STOP_SIGNAL_OFFSET)

    def out_of_memory(self) -> bool:
        """True when the kernel ended a process of the last program, because all of them together took too much."""
        return self.memory is not None and self.memory.exceeded()


class SandboxedProcess:
    """One forked program; `finish` must be called exactly once.

    Args:
        zygote: the ways to the zygote that forked it.
        channel: socket to the program.
        output: pipes of its stdout and stderr; one for both where they are not told apart.
        limits: what it may use.
        when_waiting: called when it takes longer than a few milliseconds.
    """

    def __init__(
        self,
        zygote: ZygoteLink,
        channel: _socket.socket,
        output: list[int],
        limits: Limits,
        when_waiting: Callable[[], None] | None = None,
    ) -> None:
        self._zygote = zygote
        self._control = zygote.control
        self._when_waiting = when_waiting
        self._channel = channel
        self._outputs = set(output)
        self._stdout_fd = output[0]
        self.limits = limits
        self._data = bytearray()
        self._stdout: list[bytes] = []
        self._written = 0
        self._unsent = b""
        self._ended: bytes | None = None
        self._waited = 0.0
        self._forbidden = ""
        channel.setblocking(False)
        self._poll = select.poll()
        self._poll.register(channel, _IN)
        self._poll.register(self._control, _IN)
        for fd in output:
            self._poll.register(fd, _IN)
        self._trusted = [self._control.fileno()] + ([] if zygote.listener is None else [zygote.listener])
        if zygote.listener is not None:
            self._poll.register(zygote.listener, _IN)
        self._open = True

    def send(self, message: Any) -> None:
        """Queues a message; it leaves while we receive."""
        body = marshal.dumps(message)
        self._unsent += len(body).to_bytes(4, "big") + body
        self._push()

    def receive(self, seconds: float) -> dict[str, Any] | None:
        """The next message, or None when the program ended without one.

        Raises:
            OverTime: Nothing came within the time that the program may take.
            OverOutput: The program printed too much.
        """
        start = time.monotonic()
        deadline = start + seconds
        while True:
            message = self._message()
            if message is not None:
                return message
            if self._ended is not None:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                more = self._waiting_for_a_core()
                if more > 0.01 * seconds and time.monotonic() - start < _SLOW_HOST * seconds:
                    deadline = time.monotonic() + more
                    continue
                raise TimeLimitExceeded(self._where())
            self._pump(left)

    def finish(self, leaving: bool = False) -> ProcessExit:
        """Kills whatever is left of the program and returns how it ended; one that is `leaving` gets a moment.

        Raises:
            ZygoteLost: The zygote did not answer.
        """
        if self._ended is None:
            self._attend(select.select(self._trusted, [], [], _MOMENT if leaving else 0)[0])
        give_up = time.monotonic() + 20
        while self._ended is None:
            self._zygote.stop_program()
            self._pump(_AGAIN, quiet=True)
            if time.monotonic() > give_up:
                self._lose("it does not answer")
        self._drain()
        self._close()
        status, seconds, survivors, size = ENDED.unpack_from(self._ended)
        forbidden = self._forbidden or self._ended[ENDED.size : ENDED.size + size].decode(errors="replace")
        return ProcessExit(status, seconds, survivors, forbidden, b"".join(self._stdout), self._zygote.out_of_memory())

    def wait(self, seconds: float) -> None:
        """Waits until the program has ended by itself.

        Raises:
            OverTime, OverOutput: As `receive`.
        """
        while self.receive(seconds) is not None:
            continue

    def _message(self) -> dict[str, Any] | None:
        data = self._data
        if len(data) < 4:
            return None
        size = int.from_bytes(data[:4], "big")
        if size > LIMIT:
            data.clear()
            self._stop_listening()
            return {"unsendable": "the value is too large"}
        if len(data) < 4 + size:
            return None
        body = bytes(data[4 : 4 + size])
        del data[: 4 + size]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
        return message if isinstance(message, dict) else {"unsendable": "a message that is no message"}

    def _pump(self, seconds: float, quiet: bool = False) -> None:
        events = self._poll.poll(max(1, min(seconds * 1000, _PATIENCE)))
        if not events and self._when_waiting is not None:
            self._when_waiting()
            events = self._poll.poll(max(1, seconds * 1000 - _PATIENCE))
        for fd, event in events:
            if fd == self._channel.fileno():
                if event & _OUT:
                    self._push()
                if event & (_IN | _GONE):
                    self._pull()
            elif fd in self._outputs:
                self._read(fd)
            else:
                self._attend([fd])
        if not quiet and self._written > self.limits.output_bytes:
            raise OutputLimitExceeded

    def _attend(self, ready: list[int]) -> None:
        """What those say that the program cannot speak for: the zygote, and the kernel about forbidden calls."""
        if self._zygote.listener in ready and (name := seccomp.announced(self._zygote.listener)):
            self._forbidden = self._forbidden or name
            self._zygote.stop_program()
        if self._trusted[0] in ready:
            self._listen()

    def _push(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""
        if self._open:
            self._poll.modify(self._channel, _IN | _OUT if self._unsent else _IN)

    def _pull(self) -> None:
        try:
            chunk = self._channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._data += chunk
        if not chunk:
            self._stop_listening()

    def _stop_listening(self) -> None:
        if self._open:
            self._poll.unregister(self._channel)
            self._open = False

    def _listen(self) -> None:
        try:
            message = self._control.recv(1024)
        except OSError as e:
            self._lose(str(e))
        if message == SURVIVORS:
            kill_descendants(self._zygote.pid)
            self._control.send(REAP)
            return
        if len(message) < ENDED.size:
            self._lose("it ended")
        self._ended = message
        while self._open:  # what the program said before it ended
            before = len(self._data)
            self._pull()
            if len(self._data) == before:
                self._stop_listening()

    def _read(self, fd: int) -> bool:
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            self._poll.unregister(fd)
            self._outputs.discard(fd)
            os.close(fd)
            return False
        self._written += len(chunk)
        if fd == self._stdout_fd and self._written <= self.limits.output_bytes + (1 << 16):
            self._stdout.append(chunk)
        return True

    def _drain(self) -> None:
        """Every writer is dead by now: what is in the pipes is all there will be."""
        for fd in list(self._outputs):
            while self._read(fd):
                continue

    def _close(self) -> None:
        self._channel.close()
        for fd in self._outputs:
            os.close(fd)
        self._outputs.clear()

    def _lose(self, why: str) -> NoReturn:
        self._close()
        raise ZygoteLost(why)

    @property
    def overflowed(self) -> bool:
        """True when more was printed than allowed."""
        return self._written > self.limits.output_bytes

    def _waiting_for_a_core(self) -> float:
        """Seconds that the program was ready to run but had no core, since we last asked."""
        pid = self._pid()
        try:
            with open(f"/proc/{pid}/schedstat") as file:
                waited = int(file.read().split()[1]) / 1e9
        except (OSError, ValueError, IndexError):
            return 0.0
        more, self._waited = waited - self._waited, waited
        return more

    def _pid(self) -> int:
        try:
            with open(f"/proc/{self._zygote.pid}/task/{self._zygote.pid}/children") as file:
                return int(file.read().split()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def _where(self) -> int | None:
        """Asks the program for its line (a signal that the C level answers); best effort, 20 ms, or a second if it has
        to wait for a core."""
        pid = self._pid()
        if not pid or not self._open:
            return None
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGRTMAX - DUMP_SIGNAL_OFFSET)
            start, ran = time.monotonic(), _core_seconds(pid)
            while self._open and (waited := time.monotonic() - start) < 1:
                if waited > 0.02 and not (_ready_to_run(pid) and _core_seconds(pid) - ran < 0.002):
                    break
                self._pump(0.005, quiet=True)
                if b"\n" in self._data and (found := _LINE.search(self._data)):
                    return int(found[1])
        return None


def _core_seconds(pid: int) -> float:
    """Seconds that a process has run on a core; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _ready_to_run(pid: int) -> bool:
    """True for a process that has a core or waits for one."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False
