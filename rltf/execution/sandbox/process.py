"""One running process of a sandbox, seen from the trusted side: its channel, its output, and its end."""

from __future__ import annotations

import _socket
import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, NoReturn

from rltf.execution.isolation import seccomp
from rltf.execution.sandbox import proc_stat
from rltf.execution.sandbox.clock import TaskClock, answer_times
from rltf.execution.sandbox.control import DUMP_SIGNAL_OFFSET, ENDED, REAP, SURVIVORS
from rltf.execution.sandbox.limits import Limits, ProcessExit, Stop, StopReason, ZygoteLost
from rltf.execution.sandbox.message_socket import MessageSocket
from rltf.execution.sandbox.process_tree import kill_descendants
from rltf.execution.sandbox.zygote_link import ZygoteLink

_IN, _OUT, _GONE = select.POLLIN, select.POLLOUT, select.POLLHUP | select.POLLERR | select.POLLNVAL
_LINE = re.compile(rb'File "<program>", line (\d{1,7})\b')
_SHORT_WAIT_MS = 4.0
"""Milliseconds after which `when_waiting` is called."""
_LONGEST_WAIT_SECONDS = 0.5
"""Seconds after which `when_waiting` is called again, since it tells the supervisor that nobody is stuck."""
_STOP_AGAIN_SECONDS = 0.02
"""Seconds after which the zygote is asked to stop once more, lest the first time came before it had forked."""
_ZYGOTE_SECONDS = 20.0
"""Seconds after which a zygote that does not answer counts as lost."""
_MESSAGE_BYTES = 1 << 20
"""Of a message to the worker: a script's last one, or one of the grader's."""


class SandboxedProcess:
    """One forked process; `finish` must be called exactly once.

    Args:
        zygote: the ways to the zygote that forked it.
        channel: socket to the process.
        output: pipes of its stdout and stderr; one for both where nobody compares what it prints; none.
        limits: what it may use.
        when_waiting: called when it takes longer than a few milliseconds, and at least once a second from then on.
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
        self._when_waiting = when_waiting
        self.channel = MessageSocket(channel, _MESSAGE_BYTES)
        """Our end of the socket to the process."""
        self.limits = limits
        self._outputs = set(output)
        self._stdout_fd = output[0] if len(output) == 2 else -1
        self._stdout: list[bytes] = []
        self._stderr = b""
        """The beginning of it, where it has a pipe of its own."""
        self._stdout_bytes = self._other_bytes = 0
        self._exit_report: bytes | None = None
        """The zygote's `ENDED` message, once the process has ended."""
        self.forbidden_call = ""
        """The forbidden system call that it tried, or empty."""
        self._trusted = [] if zygote.killed_for_memory else zygote.descriptors
        self._handlers: dict[int, Callable[[int, int], object]] = dict.fromkeys(output, self._read_output)
        """Descriptors that are watched besides those of the zygote."""
        self._poll: select.poll | None = None
        """Waits for all of them; made once a first, short wait for the zygote's alone has seen nothing."""

    @cached_property
    def clock(self) -> TaskClock:
        """Counts its seconds, where the clock of the wall is not enough."""
        return TaskClock(self._zygote.pid)

    def watch(self, fd: int, handler: Callable[[int, int], object]) -> None:
        """Has `wait` call `handler(fd, event)` when a descriptor is ready."""
        self._handlers[fd] = handler
        if self._poll is not None:
            self._poll.register(fd, _IN)

    def _unwatch(self, fd: int) -> None:
        del self._handlers[fd]
        if self._poll is not None:
            self._poll.unregister(fd)

    def _poll_of_all(self) -> select.poll:
        if self._poll is None:
            self._poll = select.poll()
            for fd in (*self._trusted, *self._handlers):
                self._poll.register(fd, _IN)
        return self._poll

    @property
    def trusted(self) -> list[int]:
        """Descriptors at which zygote and kernel speak of it, for `attend`; none of a zygote that was killed."""
        return self._trusted

    @property
    def ended(self) -> bool:
        """True once it and all that it started have ended."""
        return self._exit_report is not None

    @property
    def overflowed(self) -> bool:
        """True when it printed more than it may."""
        return self._stdout_bytes > self.limits.output_bytes or self._other_bytes > self.limits.unread_bytes

    def give_channel(self) -> int:
        """The descriptor of our end of the channel, which is the caller's from now on; of a process that has ended, one
        at which its last words are read."""
        return self.channel.replayed() if self.ended and self.channel.received else self.channel.detach()

    def receive(self, seconds: float) -> dict[str, Any] | Stop:
        """The next message of the process, or why there is none.

        Args:
            seconds: How long to wait, not counting the time in which the process waits for a core.
        """
        start = time.monotonic()
        remaining = seconds
        self.watch(self.channel.fileno(), self._serve_channel)
        while True:
            message = self.channel.message()
            if message is not None:
                return message
            if self.ended:
                return Stop(StopReason.EXIT)
            if self._poll is not None and self.channel.open:
                self._poll.register(self.channel.fileno(), _IN | _OUT * self.channel.unsent)
            self.wait(min(remaining, _LONGEST_WAIT_SECONDS))
            if self.overflowed:
                return Stop(StopReason.OUTPUT_LIMIT)
            remaining = start + seconds - time.monotonic()
            if remaining <= 0:
                remaining = seconds - self.clock.counted(time.monotonic() - start)
                if remaining < 0.005 * seconds:
                    return Stop(StopReason.TIME_LIMIT, line=self._current_line())

    def wait(self, seconds: float) -> None:
        """Waits at most so long for anything to happen, and deals with it.

        At first it waits for the end of the process alone: most have ended after a few milliseconds, and what they
        printed and said is still there.
        """
        poll = self._zygote.poll if self._poll is None and self._exit_report is None else self._poll_of_all()
        events = poll.poll(max(1, min(seconds * 1000, _SHORT_WAIT_MS)))
        if not events:
            self.clock.tick()
            if self._when_waiting is not None:
                self._when_waiting()
            events = self._poll_of_all().poll(max(1, seconds * 1000 - _SHORT_WAIT_MS))
        for fd, event in events:
            if fd in self._handlers:  # an earlier one of these may have closed it
                self._handlers[fd](fd, event)
            elif fd in self._trusted:
                self.attend(fd)

    def attend(self, fd: int, event: int = _IN) -> None:
        """Reads what the process cannot forge: words of the zygote, and of the kernel about forbidden calls."""
        if fd == self._zygote.listener:
            if name := seccomp.read_forbidden_call(fd):
                self.forbidden_call = self.forbidden_call or name
                self._zygote.stop_program()
            return
        self._read_control()

    def stop(self) -> None:
        """Has it killed; `finish` waits for that."""
        if self._exit_report is None:
            self._zygote.stop_program()

    def ask_line(self) -> int:
        """Sends the signal at which the process says, through its channel, where it is; returns its id, or 0."""
        pid = proc_stat.first_child(self._zygote.pid)
        if pid:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGRTMAX - DUMP_SIGNAL_OFFSET)
        return pid

    def finish(self, grace_seconds: float = 0.0) -> ProcessExit:
        """Kills whatever is left of the program and returns how it ended.

        Args:
            grace_seconds: How long it may take to end by itself.

        Raises:
            ZygoteLost: The zygote did not answer.
        """
        if self._exit_report is None:
            for fd in select.select(self._trusted, [], [], grace_seconds)[0]:
                self.attend(fd)
        if self._exit_report is None:
            self._await_end()
        self._drain()
        self.close()
        report = self._exit_report or b""
        status, cpu_seconds, size = ENDED.unpack_from(report)
        forbidden_call = self.forbidden_call
        if size and not forbidden_call:
            forbidden_call = report[ENDED.size : ENDED.size + size].decode(errors="replace")
        return ProcessExit(
            status,
            cpu_seconds,
            forbidden_call,
            b"".join(self._stdout),
            self._zygote.killed_for_memory or self._zygote.out_of_memory(),
            self.overflowed,
            self._stderr,
        )

    def _await_end(self) -> None:
        """Has it killed and waits for the zygote's word."""
        give_up = time.monotonic() + _ZYGOTE_SECONDS
        while self._exit_report is None:
            self._zygote.stop_program()
            self.wait(_STOP_AGAIN_SECONDS)
            if time.monotonic() > give_up:
                self._lose_zygote("it does not answer")

    def _serve_channel(self, fd: int, event: int) -> None:
        if event & _OUT:
            self.channel.push()
        if event & (_IN | _GONE):
            self.channel.pull()
        if not self.channel.open:
            self._unwatch(fd)

    def _read_control(self) -> None:
        try:
            message = self._zygote.control.recv(1024)
        except OSError as e:
            self._lose_zygote(str(e))
        if message == SURVIVORS:
            kill_descendants(self._zygote.pid)
            self._zygote.control.send(REAP)
            return
        if len(message) < ENDED.size:
            if not (self._zygote.killed_for_memory or self._zygote.out_of_memory()):
                self._lose_zygote("it ended")
            if self._poll is not None:
                for fd in self._trusted:  # they would be ready for ever
                    self._poll.unregister(fd)
            self._trusted = []
            self._zygote.killed_for_memory = True
            self._zygote.end_orphans()
            message = ENDED.pack(signal.SIGKILL, 0.0, 0)
        self._exit_report = message
        while self.channel.open and self.channel.pull():  # what the program said before it ended
            continue

    def _read_output(self, fd: int, event: int = _IN) -> bool:
        try:
            chunk = os.read(fd, 1 << 16)
        except BlockingIOError:
            return False
        if not chunk:
            self._unwatch(fd)
            self._outputs.discard(fd)
            os.close(fd)
            return False
        if fd == self._stdout_fd:
            self._stdout_bytes += len(chunk)
            if not self.overflowed:
                self._stdout.append(chunk)
        else:
            self._other_bytes += len(chunk)
            if self._stdout_fd >= 0 and len(self._stderr) < self.limits.output_bytes:
                self._stderr += chunk[: self.limits.output_bytes - len(self._stderr)]
        return True

    def _drain(self) -> None:
        """Every writer is dead by now: what is in the pipes is all there will be. A descriptor that the program sent
        through a socket may still be a writer, so nothing is waited for."""
        for fd in list(self._outputs):
            os.set_blocking(fd, False)
            while self._read_output(fd):
                continue

    def close(self) -> None:
        """Closes our ends of its channel and output; by itself only where its zygote is lost, or about to be ended."""
        self.channel.hang_up()
        for fd in self._outputs:
            os.close(fd)
        self._outputs.clear()

    def _lose_zygote(self, why: str) -> NoReturn:
        self.close()
        raise ZygoteLost(why)

    def _current_line(self) -> int | None:
        """The line at which the process is, asked by a signal that its C level answers; None where no answer comes in
        20 ms, or in a second if it waits for a core."""
        pid = self.ask_line()
        for _ in answer_times(pid):
            if not self.channel.open:
                break
            self.wait(0.005)
            if b"\n" in self.channel.received and (line := _LINE.search(self.channel.received)):
                return int(line[1])
        return None
