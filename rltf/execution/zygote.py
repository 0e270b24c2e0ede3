"""The zygote: a small, clean, shut-in process that forks one child per program and cleans up after it.

It is the first process of its PID namespace where there is one, so that killing "everybody else" is complete. It reads
neither programs nor tests: they reach the child through descriptors that merely pass through here.
"""

from __future__ import annotations

import builtins
import faulthandler
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from _sitebuiltins import Quitter
from collections.abc import Callable
from typing import NoReturn

from rltf.execution.isolation import memory, root, seccomp
from rltf.execution.isolation.enclosure import Enclosure
from rltf.execution.isolation.probe import probe
from rltf.execution.protocol import CHANNEL, DUMP_SIGNAL_OFFSET, ENDED, FORK, SURVIVORS

PRELOAD = (
    "abc",
    "array",
    "bisect",
    "cmath",
    "collections.abc",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "io",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "os",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "sys",
    "time",
    "traceback",
    "types",
    "typing",
    "threading",
    "queue",
)
"""Imported once here, so that programs find them loaded."""

_TEXT = 200


def main(argv: list[str]) -> None:
    """Entry of the process: `argv` = control descriptor, JSON settings (see `rltf.execution.slot`)."""
    control = socket.socket(fileno=int(argv[0]))
    settings = json.loads(argv[1])
    _preload(settings["numpy"])
    from rltf.execution import runner

    own_bytes = _virtual_bytes()
    enclosure = Enclosure(settings, control)
    report = enclosure.enter()
    sys.path[:] = [p for p in sys.path if p not in (settings["source"], settings["numpy"])]
    for name in [n for n in sys.modules if n.partition(".")[0] == "rltf"]:
        del sys.modules[name]
    faulthandler.register(signal.SIGRTMAX - DUMP_SIGNAL_OFFSET, file=CHANNEL, all_threads=False, chain=False)
    gc.collect()
    gc.freeze()
    zygote = Zygote(control, enclosure, runner.main, own_bytes)
    report = probe(report, lambda: zygote.limit(64 << 20, 1 << 20, 5, 8), enclosure.listener, settings["source"])
    enclosure.hold(memory.HELD)
    control.send(json.dumps(report).encode())
    zygote.serve()


def _preload(numpy: str | None) -> None:
    for name in PRELOAD:
        importlib.import_module(name)
    for name, key in (("exit", "Ctrl-D (i.e. EOF)"), ("quit", "Ctrl-D (i.e. EOF)")):  # `site` is not loaded
        setattr(builtins, name, Quitter(name, key))
    if numpy:
        sys.path.append(numpy)
        importlib.import_module("numpy")


class Zygote:
    """Serves fork requests until the control socket closes."""

    def __init__(
        self, control: socket.socket, enclosure: Enclosure, run: Callable[[int], None], own_bytes: int
    ) -> None:
        self._control = control
        self._enclosure = enclosure
        self._run = run
        self._own_bytes = own_bytes
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        if enclosure.listener is not None:
            self._poll.register(enclosure.listener, select.POLLIN)
        self._free = [os.statvfs(folder).f_ffree for folder in enclosure.scratch]

    def serve(self) -> NoReturn:
        """One program at a time."""
        while True:
            request, fds, _, _ = socket.recv_fds(self._control, 256, 4)
            if not request:
                os._exit(0)
            if len(request) != FORK.size:
                continue  # a kill that crossed the end of its program
            pid = os.fork()
            if pid == 0:
                self._child(request, fds)
            for fd in fds:
                os.close(fd)
            self._control.send(self._watch(pid))

    def _watch(self, pid: int) -> bytes:
        ended = os.pidfd_open(pid)
        self._poll.register(ended, select.POLLIN)
        events = dict(self._poll.poll())
        self._poll.unregister(ended)
        forbidden = self._forbidden(events)
        if ended not in events:
            if not forbidden and self._control.recv(256) == b"":
                os._exit(0)
            os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        os.close(ended)
        seconds = usage.ru_utime + usage.ru_stime
        left, more, status_of_others = self._reap()
        if not forbidden and self._enclosure.listener is not None and left:
            forbidden = self._forbidden(dict(self._poll.poll(0)))
        if not forbidden and signal.SIGSYS in (status_of_others, status & 0x7F):
            forbidden = "system call"
        self._clean()
        text = forbidden.encode()[:_TEXT]
        return ENDED.pack(status, seconds + more, left, len(text)) + text

    def _clean(self) -> None:
        """Empties the scratch folders; on a private tmpfs the count of free inodes says whether there is anything."""
        for folder, free in zip(self._enclosure.scratch, self._free, strict=True):
            if not self._enclosure.private_root or os.statvfs(folder).f_ffree != free:
                root.empty(folder)

    def _forbidden(self, events: dict[int, int]) -> str:
        listener = self._enclosure.listener
        if listener is None or not events.get(listener, 0) & select.POLLIN:
            return ""
        return seccomp.announced(listener)

    def _reap(self) -> tuple[int, float, int]:
        """Kills and collects whatever the program left: (processes, their CPU seconds, a SIGSYS if one died of it)."""
        count, seconds, bad = 0, 0.0, 0
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return count, seconds, bad
            if pid == 0:
                if self._enclosure.kills_all:
                    os.kill(-1, signal.SIGKILL)
                else:
                    self._control.send(SURVIVORS)
                    if not self._control.recv(256):
                        os._exit(0)
                pid, status, usage = os.wait4(-1, 0)
            count += 1
            seconds += usage.ru_utime + usage.ru_stime
            if status & 0x7F == signal.SIGSYS:
                bad = signal.SIGSYS

    def _child(self, request: bytes, fds: list[int]) -> NoReturn:
        try:
            memory, file_bytes, cpu, tasks = FORK.unpack(request)
            os.setsid()
            channel, stdin, stdout, stderr = fds
            os.dup2(stdin, 0)
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.dup2(channel, CHANNEL)
            os.closerange(CHANNEL + 1, 256)
            self.limit(memory, file_bytes, cpu, tasks)
            self._run(CHANNEL)
        finally:
            os._exit(1)

    def limit(self, memory: int, file_bytes: int, cpu: int, tasks: int) -> None:
        """What a child does to itself before a program runs in it."""
        limits = (
            (resource.RLIMIT_AS, self._own_bytes + memory),
            (resource.RLIMIT_CPU, cpu),
            (resource.RLIMIT_FSIZE, file_bytes),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_NPROC, tasks + self._enclosure.tasks),
            (resource.RLIMIT_CORE, 0),
            (resource.RLIMIT_STACK, 64 << 20),
        )
        for which, value in limits:
            resource.setrlimit(which, (value, value))
        self._enclosure.seal_child()


def _virtual_bytes() -> int:
    """Address space of the interpreter itself, which does not count against a program's memory."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 256 << 20
