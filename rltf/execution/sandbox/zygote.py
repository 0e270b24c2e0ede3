"""The zygote: a small, clean, shut-in process that forks one child per program and cleans up after it.

It is the first process of its PID namespace where there is one, so that `kill(-1)` reaches every process of a program.
It reads neither programs nor tests: they reach the child through descriptors that merely pass through here.
"""

from __future__ import annotations

import _socket  # not `socket`: each page less is one that no fork copies
import contextlib
import faulthandler
import fcntl
import gc
import json
import os
import resource
import select
import signal
import struct
import sys
from collections.abc import Callable, Sequence
from functools import partial
from stat import ST_MODE, ST_SIZE
from typing import Any, NoReturn

from rltf.execution.isolation import seccomp, syscalls
from rltf.execution.isolation.emptying import empty
from rltf.execution.isolation.layers import IsolationLayers
from rltf.execution.isolation.probe import probe
from rltf.execution.isolation.rlimits import at_most
from rltf.execution.sandbox.control import (
    CHANNEL,
    DUMP_SIGNAL_OFFSET,
    ENDED,
    FORK,
    MEMORY,
    STOP_SIGNAL_OFFSET,
    SURVIVORS,
)
from rltf.execution.sandbox.preload import forget_start, forget_us, preload

_STACK = 64 << 20
"""Bytes of the stack of a program's first thread."""
_LARGEST = 1 << 62
_MAX_TEXT = 200
"""Bytes of text in an `ENDED` message."""
_ANCILLARY_BYTES = _socket.CMSG_SPACE(20)
"""Space for five descriptors."""
_RESET_SIGNALS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that end a program, whatever the trainer does with them."""
_FDS = {4 * count: struct.Struct(f"{count}i").unpack for count in (2, 3, 4, 5)}


def main(control: _socket.socket, settings: dict[str, Any]) -> None:
    """Entry of the process, with its socket to the worker and what it was told (`rltf.execution.sandbox.sandbox`)."""
    forget_start()
    control = _free_channel(control)
    try:
        _start(control, settings)
    except OSError:
        if _hung_up(control):  # the worker is gone
            os._exit(0)
        raise


def _free_channel(control: _socket.socket) -> _socket.socket:
    """The socket, on another descriptor than that of programs' channel, where a dump signal to us finds nothing."""
    if control.fileno() == CHANNEL:
        control = _socket.socket(fileno=fcntl.fcntl(control.detach(), fcntl.F_DUPFD_CLOEXEC, CHANNEL + 1))
    nothing = os.open(os.devnull, os.O_WRONLY)
    if nothing != CHANNEL:
        os.dup2(nothing, CHANNEL)
        os.close(nothing)
    return control


def _hung_up(control: _socket.socket) -> bool:
    try:
        return not control.recv(1, _socket.MSG_PEEK | _socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _start(control: _socket.socket, settings: dict[str, Any]) -> NoReturn:
    after_fork = preload(settings["module"], settings["runtime_path"])
    run, warm_up = _entry(settings)
    interpreter_bytes = _virtual_bytes()
    layers = IsolationLayers(settings, control)
    report = layers.enter()
    if not layers.private_root:
        with contextlib.suppress(ImportError, PermissionError):  # programs cannot import it either, then
            sys.modules["rltf.execution.inside.semaphores"].install()
    sys.modules["rltf.execution.inside.thread_stacks"].install()
    forget_us(settings["source"], settings["runtime_path"])
    faulthandler.register(signal.SIGRTMAX - DUMP_SIGNAL_OFFSET, file=CHANNEL, all_threads=False, chain=False)
    syscalls.share_arena()
    warm_up()
    gc.collect()
    syscalls.trim()  # each page less is one that no fork copies
    gc.freeze()
    zygote = Zygote(control, layers, run, interpreter_bytes, after_fork)
    zygote.limit(settings["file_bytes"], settings["tasks"])
    report = probe(report, lambda: zygote.limit_child(64 << 20, 0, 5), layers.listener, settings["source"])
    layers.probe_memory()
    rights = [] if layers.listener is None else [struct.pack("i", layers.listener)]
    control.sendmsg([json.dumps(report).encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, fds) for fds in rights])
    zygote.serve()


def _entry(settings: dict[str, Any]) -> tuple[Callable[[int], None], Callable[[], None]]:
    """What a forked process runs, and what is run before any is forked, so that memory has settled."""
    if settings["grader"]:
        from rltf.execution.grader import grader as entry

        return entry.main, entry.warm_up
    if settings["runtime"] == "javascript":
        from rltf.execution.inside import javascript

        return javascript.main, javascript.warm_up
    if settings["runtime"] == "cpp":
        from rltf.execution.inside import cpp

        return partial(cpp.main, settings["runtime_path"]), cpp.warm_up
    from rltf.execution.inside import runner

    return runner.main, runner.warm_up


class Zygote:
    """Serves fork requests until the control socket closes."""

    def __init__(
        self,
        control: _socket.socket,
        layers: IsolationLayers,
        run: Callable[[int], None],
        interpreter_bytes: int,
        after_fork: Sequence[Callable[[], object]],
    ) -> None:
        self._control = control
        self._layers = layers
        self._run = run
        self._interpreter_bytes = interpreter_bytes
        self._after_fork = after_fork
        self._program = 0
        self._most_space = at_most(resource.RLIMIT_AS, _LARGEST)
        self._most_seconds = at_most(resource.RLIMIT_CPU, _LARGEST)
        for number in _RESET_SIGNALS:  # the trainer may ignore them, as after a shell's `nohup ... &`
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGRTMAX - STOP_SIGNAL_OFFSET, self._stop)
        self._folders = {folder: _state(folder) for folder in layers.scratch}
        """The scratch folders as a program finds them."""

    def serve(self) -> NoReturn:
        """Runs one program at a time; it ends by itself, or at a signal from the worker (`_stop`).

        Whatever each program costs is done here, with few objects: each page that is touched after a fork is copied.
        """
        receive, send, fork, close, wait = self._control.recvmsg, self._control.send, os.fork, os.close, os.waitpid
        stat, getrusage, children, at_once = os.stat, resource.getrusage, resource.RUSAGE_CHILDREN, os.WNOHANG
        folders = self._folders
        private_root = self._layers.private_root  # else a new file may change neither size nor time of its folder
        usage = getrusage(children)
        while True:
            request, extra, _, _ = receive(64, _ANCILLARY_BYTES)
            if not request:
                os._exit(0)
            fds = _FDS[len(extra[0][2])](extra[0][2])
            pid = fork()
            if pid == 0:
                self._child(request, fds)
            self._program = pid
            for fd in fds:
                close(fd)
            status = wait(pid, 0)[1]
            self._program = 0
            try:
                child = wait(-1, at_once)
            except ChildProcessError:
                text = b""
            else:
                text = self._reap(*child)
            if status and status & 0x7F == signal.SIGSYS:
                text = text or b"system call"
            for folder in folders:
                state, (mode, size, changed) = stat(folder), folders[folder]
                same = state.st_ctime_ns == changed and state[ST_SIZE] == size and state[ST_MODE] == mode
                if not (same and private_root):
                    self._clean(folder)
            previous, usage = usage, getrusage(children)
            cpu_seconds = usage.ru_utime - previous.ru_utime + usage.ru_stime - previous.ru_stime
            send(ENDED.pack(status, cpu_seconds, len(text)) + text)

    def _stop(self, number: int, frame: object) -> None:
        if self._program:
            with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
                os.kill(self._program, signal.SIGKILL)

    def _clean(self, folder: str) -> None:
        """Empties a scratch folder, and takes from it what a program could tell the next one by it: mode, attributes,
        and times of its choice. Without a private root neither it nor we may change the first two.
        """
        empty(folder, os.getuid())
        if _state(folder) == self._folders[folder]:
            return
        mode, _, _ = self._folders[folder]
        if os.stat(folder).st_mode != mode:
            os.chmod(folder, mode & 0o7777)
        with contextlib.suppress(OSError):
            for name in os.listxattr(folder):
                os.removexattr(folder, name)
        with contextlib.suppress(OSError):
            touched = f"{folder}/.touched"
            os.close(os.open(touched, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            os.unlink(touched)
        self._folders[folder] = _state(folder)

    def _reap(self, pid: int, status: int) -> bytes:
        """Kills and collects whatever the program left behind; returns a forbidden call of theirs, if any.

        Args:
            pid: a process of it that has ended; 0 where none has.
            status: how it ended.
        """
        text = b""
        while True:
            if pid == 0:
                text = text or self._forbidden()
                if self._layers.kills_all:
                    os.kill(-1, signal.SIGKILL)
                else:
                    self._control.send(SURVIVORS)
                    if not self._control.recv(256):
                        os._exit(0)
                pid, status = os.waitpid(-1, 0)
            if status & 0x7F == signal.SIGSYS:
                text = text or b"system call"
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return text

    def _forbidden(self) -> bytes:
        """The forbidden call at which a process waits that outlived the program."""
        listener = self._layers.listener
        if listener is None or not select.select([listener], [], [], 0)[0]:
            return b""
        return seccomp.read_forbidden_call(listener).encode()[:_MAX_TEXT]

    def _child(self, request: bytes, fds: tuple[int, ...]) -> NoReturn:
        try:
            memory, reserve, cpu = FORK.unpack(request)
            os.setsid()
            memory_fd = fcntl.fcntl(fds[-1], fcntl.F_DUPFD, 40) if len(fds) % 2 else None
            channel, stdin, stdout, stderr = fds[:4] if len(fds) >= 4 else (fds[0], 0, fds[1], fds[1])
            if stdin:
                os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.dup2(channel, CHANNEL)
            if memory_fd is not None:
                os.dup2(memory_fd, MEMORY)
            os.closerange(CHANNEL + 1 if memory_fd is None else MEMORY + 1, 256)
            self.limit_child(memory, reserve, cpu)
            for hook in self._after_fork:
                os.register_at_fork(after_in_child=hook)
            self._run(CHANNEL)
        finally:
            os._exit(1)

    def limit(self, file_bytes: int, tasks: int) -> None:
        """Sets the limits that are the same for every program, which inherits them."""
        for which, value in (
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_NPROC, tasks + self._layers.tasks),
            (resource.RLIMIT_CORE, 0),
        ):
            value = at_most(which, value)
            resource.setrlimit(which, (value, value))
        # programs may raise that of the stack as far as the host lets them
        stack, hard = at_most(resource.RLIMIT_STACK, _STACK), resource.getrlimit(resource.RLIMIT_STACK)[1]
        resource.setrlimit(resource.RLIMIT_STACK, (stack, hard))

    def limit_child(self, memory: int, reserve: int, cpu: int) -> None:
        """Restricts a child before a program runs in it."""
        memory += self._interpreter_bytes
        space, seconds = self._most_space, self._most_seconds
        resource.setrlimit(resource.RLIMIT_AS, (min(memory, space), min(memory + reserve, space)))
        # SIGXCPU comes first, and tells a timeout
        resource.setrlimit(resource.RLIMIT_CPU, (min(cpu, seconds), min(cpu + 1, seconds)))
        if self._layers.seals_signals:
            self._layers.seal_signals()


def _state(folder: str) -> tuple[int, int, int]:
    """Mode, size and time of the last change; what is left in a tmpfs changes its size."""
    state = os.stat(folder)
    return state.st_mode, state.st_size, state.st_ctime_ns


def _virtual_bytes() -> int:
    """Address space of the interpreter itself, which does not count against a program's memory."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 256 << 20
