"""One running program, seen from the trusted side: messages, output, the clock, and its end."""

from __future__ import annotations

import _socket
import contextlib
import json
import marshal
import os
import re
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from rltf.execution.inside.channel import LIMIT
from rltf.execution.isolation import seccomp
from rltf.execution.sandbox import proc_stat
from rltf.execution.sandbox.control import DUMP_SIGNAL_OFFSET, ENDED, REAP, SURVIVORS
from rltf.execution.sandbox.limits import WALL_CLOCK_FACTOR, Limits, ProcessExit, Stop, StopReason, ZygoteLost
from rltf.execution.sandbox.process_tree import kill_descendants
from rltf.execution.sandbox.zygote_link import ZygoteLink

_IN, _OUT, _GONE = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL
_LINE = re.compile(rb'File "<program>", line (\d+)')
_SHORT_WAIT_MS = 4.0
"""Milliseconds after which `when_waiting` is called."""
_EXIT_SECONDS = 0.005
"""Seconds in which a program that has answered may end by itself; saves a signal."""
_STOP_AGAIN_SECONDS = 0.02
"""Seconds after which the zygote is asked to stop once more, lest the first time came before it had forked."""
_ZYGOTE_SECONDS = 20.0
"""Seconds after which a zygote that does not answer counts as lost."""
_MAX_STDOUT_EXCESS = 1 << 16
"""Bytes of stdout that are kept beyond the limit."""


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
        self._limits = limits
        self._received = bytearray()
        """What came through the channel and is no complete message yet."""
        self._stdout: list[bytes] = []
        self._printed_bytes = 0
        self._unsent = b""
        self._exit_report: bytes | None = None
        """The zygote's `ENDED` message, once the program has ended."""
        self._seconds_without_core = 0.0
        """Total for which the deadline was last moved."""
        self._forbidden_call = ""
        channel.setblocking(False)
        self._poll = select.poll()
        self._poll.register(channel, _IN)
        self._poll.register(self._control, _IN)
        for fd in output:
            self._poll.register(fd, _IN)
        self._trusted = [self._control.fileno()] + ([] if zygote.listener is None else [zygote.listener])
        if zygote.listener is not None:
            self._poll.register(zygote.listener, _IN)
        self._channel_open = True

    def send(self, message: Any) -> None:
        """Queues a message; it leaves while we receive."""
        body = marshal.dumps(message)
        self._unsent += len(body).to_bytes(4, "big") + body
        self._push()

    def hang_up(self) -> None:
        """Tells the program's process that no further message comes, so that it ends by itself."""
        with contextlib.suppress(OSError):  # it has ended
            self._channel.shutdown(_socket.SHUT_WR)

    def receive(self, seconds: float) -> dict[str, Any] | Stop:
        """The next message of the program, or why there is none.

        Args:
            seconds: How long to wait, not counting the time in which the program waits for a core.
        """
        start = time.monotonic()
        deadline = start + seconds
        while True:
            message = self._message()
            if message is not None:
                return message
            if self._exit_report is not None:
                return Stop(StopReason.EXIT)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                waited = self._newly_waited_for_core()
                if waited > 0.01 * seconds and time.monotonic() - start < WALL_CLOCK_FACTOR * seconds:
                    deadline = time.monotonic() + waited
                    continue
                return Stop(StopReason.TIME_LIMIT, line=self._current_line())
            self._pump(remaining)
            if self._overflowed:
                return Stop(StopReason.OUTPUT_LIMIT)

    def finish(self, leaving: bool = False) -> ProcessExit:
        """Kills whatever is left of the program and returns how it ended.

        Args:
            leaving: Give it a moment to end by itself.

        Raises:
            ZygoteLost: The zygote did not answer.
        """
        if self._exit_report is None:
            self._attend(select.select(self._trusted, [], [], _EXIT_SECONDS if leaving else 0)[0])
        give_up = time.monotonic() + _ZYGOTE_SECONDS
        while self._exit_report is None:
            self._zygote.stop_program()
            self._pump(_STOP_AGAIN_SECONDS)
            if time.monotonic() > give_up:
                self._lose_zygote("it does not answer")
        self._drain()
        self._close()
        status, cpu_seconds, size = ENDED.unpack_from(self._exit_report)
        read_forbidden_call = self._exit_report[ENDED.size : ENDED.size + size].decode(errors="replace")
        return ProcessExit(
            status=status,
            cpu_seconds=cpu_seconds,
            forbidden_call=self._forbidden_call or read_forbidden_call,
            stdout=b"".join(self._stdout),
            out_of_memory=self._zygote.out_of_memory(),
            overflowed=self._overflowed,
        )

    @property
    def _overflowed(self) -> bool:
        return self._printed_bytes > self._limits.output_bytes

    def _message(self) -> dict[str, Any] | None:
        received = self._received
        if len(received) < 4:
            return None
        size = int.from_bytes(received[:4], "big")
        if size > LIMIT:
            received.clear()
            self._stop_listening()
            return {"unsendable": "the value is too large"}
        if len(received) < 4 + size:
            return None
        body = bytes(received[4 : 4 + size])
        del received[: 4 + size]
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = None
        return message if isinstance(message, dict) else {"unsendable": "a malformed message"}

    def _pump(self, seconds: float) -> None:
        """Waits at most so long for anything to happen, and moves the bytes that can be moved."""
        events = self._poll.poll(max(1, min(seconds * 1000, _SHORT_WAIT_MS)))
        if not events and self._when_waiting is not None:
            self._when_waiting()
            events = self._poll.poll(max(1, seconds * 1000 - _SHORT_WAIT_MS))
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

    def _attend(self, ready: list[int]) -> None:
        """Reads what the program cannot forge: words of the zygote, and of the kernel about forbidden calls."""
        if self._zygote.listener in ready and (name := seccomp.read_forbidden_call(self._zygote.listener)):
            self._forbidden_call = self._forbidden_call or name
            self._zygote.stop_program()
        if self._trusted[0] in ready:
            self._read_control()

    def _push(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._channel.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""
        if self._channel_open:
            self._poll.modify(self._channel, _IN | _OUT if self._unsent else _IN)

    def _pull(self) -> None:
        try:
            chunk = self._channel.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._received += chunk
        if not chunk:
            self._stop_listening()

    def _stop_listening(self) -> None:
        if self._channel_open:
            self._poll.unregister(self._channel)
            self._channel_open = False

    def _read_control(self) -> None:
        try:
            message = self._control.recv(1024)
        except OSError as e:
            self._lose_zygote(str(e))
        if message == SURVIVORS:
            kill_descendants(self._zygote.pid)
            self._control.send(REAP)
            return
        if len(message) < ENDED.size:
            self._lose_zygote("it ended")
        self._exit_report = message
        while self._channel_open:  # what the program said before it ended
            size = len(self._received)
            self._pull()
            if len(self._received) == size:
                self._stop_listening()

    def _read(self, fd: int) -> bool:
        chunk = os.read(fd, 1 << 16)
        if not chunk:
            self._poll.unregister(fd)
            self._outputs.discard(fd)
            os.close(fd)
            return False
        self._printed_bytes += len(chunk)
        if fd == self._stdout_fd and self._printed_bytes <= self._limits.output_bytes + _MAX_STDOUT_EXCESS:
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

    def _lose_zygote(self, why: str) -> NoReturn:
        self._close()
        raise ZygoteLost(why)

    def _newly_waited_for_core(self) -> float:
        """Seconds that the program was ready to run but had no core, since we last asked."""
        total = proc_stat.seconds_without_core(self._pid())
        if total is None:
            return 0.0
        new, self._seconds_without_core = total - self._seconds_without_core, total
        return new

    def _pid(self) -> int:
        return proc_stat.first_child(self._zygote.pid)

    def _current_line(self) -> int | None:
        """The line at which the program is, asked by a signal that its C level answers; None where no answer comes in
        20 ms, or in a second if it waits for a core."""
        pid = self._pid()
        if not pid or not self._channel_open:
            return None
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGRTMAX - DUMP_SIGNAL_OFFSET)
            start, core_seconds = time.monotonic(), proc_stat.core_seconds(pid)
            while self._channel_open and (waited := time.monotonic() - start) < 1:
                if waited > 0.02 and not (
                    proc_stat.is_ready_to_run(pid) and proc_stat.core_seconds(pid) - core_seconds < 0.002
                ):
                    break
                self._pump(0.005)
                if b"\n" in self._received and (line := _LINE.search(self._received)):
                    return int(line[1])
        return None
