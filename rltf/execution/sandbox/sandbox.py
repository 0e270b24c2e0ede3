"""One slot of the pool, seen from the trusted side: its zygote, and the child that runs in it now."""

from __future__ import annotations

import _socket
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rltf.execution.inside.coverage import Lines
from rltf.execution.isolation import memory, root, syscalls
from rltf.execution.sandbox.control import BOOT, ENVIRONMENT, FLAGS, FORK
from rltf.execution.sandbox.limits import Limits, ZygoteLost
from rltf.execution.sandbox.process import SandboxedProcess, ZygoteLink
from rltf.execution.sandbox.process_tree import kill_descendants

PROGRAMS_PER_ZYGOTE = 5000
_START_SECONDS = 20.0
_LARGEST_CPU = 0xFFFFFFFF
"""Seconds; what the message to the zygote holds. A day a test and 50,000 tests are more."""
_HOST_IDS = 0x70000000
"""User ids from here on belong to no account; one per slot where we are root."""


@dataclass(frozen=True)
class SlotSettings:
    """How zygotes are made."""

    source: str
    """Folder that holds the package `rltf`."""
    numpy: str | None = None
    """Folder that holds numpy, for programs that import it."""
    scratch_mb: int = 16
    """Of all files of a program together, and of each."""
    tasks: int = 24
    without: tuple[str, ...] = ()
    """Layers left out: `namespaces`, `landlock`, `seccomp`, `cgroup`."""


class Sandbox:
    """Starts a zygote when first needed, forks children in it, replaces it when it is worn or lost."""

    def __init__(self, settings: SlotSettings, numpy: bool = False) -> None:
        self._settings = settings
        self._numpy = settings.numpy if numpy else None
        self._control: socket.socket | None = None
        self._served = 0
        self.pid = 0
        """Process id of the zygote as we see it."""
        self._listener: int | None = None
        """Where forbidden calls of programs are announced."""
        self.report: dict[str, str] = {}
        self._scratch = ""
        self._group: memory.MemoryGroup | None = None
        self._group_state = ""
        self.lines = Lines()
        """Which lines the programs execute."""
        self.when_waiting: Callable[[], None] | None = None
        """Called when a program takes longer than a few milliseconds."""

    def fork(self, limits: Limits, stdin: bytes | None = None) -> SandboxedProcess:
        """A new child that waits for its job; its stdout and stderr are kept apart only when it is given a `stdin`.

        Raises:
            ZygoteLost: The zygote could not be started or reached.
        """
        if self._served >= PROGRAMS_PER_ZYGOTE:
            self.close()
        self.start()
        assert self._control is not None
        self._served += 1
        self._limit_memory(limits.memory_bytes)
        ours, theirs = _socket.socketpair()
        read, write = os.pipe2(os.O_CLOEXEC)
        given, outputs = [theirs.fileno(), write], [read]
        if stdin is not None:
            more, error = os.pipe2(os.O_CLOEXEC)
            given, outputs = [theirs.fileno(), _stdin(stdin), write, error], [read, more]
        try:
            cpu_seconds = min(limits.cpu_seconds, _LARGEST_CPU)
            self._control.sendmsg([FORK.pack(limits.memory_bytes, cpu_seconds)], [_descriptors(given)])
        except OSError as e:
            ours.close()
            for fd in outputs:
                os.close(fd)
            self.close()
            raise ZygoteLost(str(e)) from None
        finally:
            theirs.close()
            for fd in given[1:]:
                os.close(fd)
        link = ZygoteLink(self._control, self.pid, self._listener, self._group)
        return SandboxedProcess(link, ours, outputs, limits, self.when_waiting)

    def _limit_memory(self, size: int) -> None:
        if self._group is None:
            return
        try:
            self._group.limit(size + (self._settings.scratch_mb << 20))
        except OSError as e:
            self.close()
            raise ZygoteLost(f"the memory limit could not be set: {e}") from None

    @contextmanager
    def replaced_when_lost(self) -> Iterator[None]:
        """Whatever of the zygote is left ends when it is lost in here, so that the next program gets a new one."""
        try:
            yield
        except ZygoteLost:
            self.close()
            raise

    def start(self) -> None:
        """Starts the zygote unless it runs.

        Raises:
            ZygoteLost: It does not come up.
        """
        if self._control is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.settimeout(_START_SECONDS)
        self._scratch = os.path.join(tempfile.gettempdir(), f"rltf-slot-{os.getpid()}-{id(self):x}")
        settings = {
            "source": self._settings.source,
            "numpy": self._numpy,
            "read": [*root.interpreter_files(), *_numpy_files(self._numpy)],
            "scratch": self._scratch,
            "scratch_mb": self._settings.scratch_mb,
            "file_bytes": self._settings.scratch_mb << 20,
            "tasks": self._settings.tasks,
            "host_id": _HOST_IDS + os.getpid(),
            "lines": self.lines.fd,
            "without": list(self._settings.without),
        }
        boot = BOOT.format("rltf.execution.sandbox.zygote")
        command = [
            sys.executable,
            *FLAGS,
            "-c",
            boot,
            self._settings.source,
            str(theirs.fileno()),
            json.dumps(settings),
        ]
        stub = subprocess.Popen(
            command,
            env=ENVIRONMENT,
            pass_fds=[theirs.fileno(), self.lines.fd],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        self._control = ours
        self._served = 0
        try:
            self._greet(ours, stub)
        except (OSError, ValueError, ZygoteLost) as e:
            stub.kill()
            stub.wait()
            self.close()
            raise ZygoteLost(f"the sandbox did not start: {e}") from None
        ours.settimeout(None)

    def _greet(self, control: socket.socket, stub: subprocess.Popen[bytes]) -> None:
        while True:
            message, fds, _, _ = socket.recv_fds(control, 1 << 16, 1)
            if not message:
                raise ZygoteLost("it ended while starting")
            if message == b"map":
                _map_users(stub.pid, _HOST_IDS + os.getpid())
                control.send(b"go")
            elif message == b"scratch":
                os.mkdir(self._scratch, 0o700)
                control.send(b"go")
            elif message == b"held":
                self._look_at_group()
                control.send(b"go")
            elif message.startswith(b"pid "):
                self.pid = int(message[4:])
                self._make_group()
                if self.pid != stub.pid:
                    stub.wait()
                control.send(b"go")
            else:
                self._listener = fds[0] if fds else None
                self.report = json.loads(message) | {"memory": self._group_state}
                return

    def _make_group(self) -> None:
        if "cgroup" in self._settings.without:
            self._group_state = "absent: left out by configuration"
            return
        try:
            self._group = memory.MemoryGroup.make(f"{os.getpid()}-{id(self):x}")
            self._group.add(self.pid)
            self._group_state = "active"
        except OSError as e:
            self._drop_group(f"no memory cgroup ({e})")

    def _look_at_group(self) -> None:
        if self._group is not None and not self._group.counts():
            self._drop_group("the memory cgroup does not count")

    def _drop_group(self, why: str) -> None:
        self._group_state = f"absent: {why}"
        if self._group is not None:
            self._group.remove()
            self._group = None

    def close(self) -> None:
        """Ends the zygote and with it everything inside."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._listener is not None:
            os.close(self._listener)
            self._listener = None
        if self.pid:
            kill_descendants(self.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = 0
        if self._group is not None:
            self._group.remove()
            self._group = None
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)


def become_subreaper() -> None:
    """The zygote's first parent ends at once; this process then inherits it, and can wait for it."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)


def _map_users(pid: int, host_id: int) -> None:
    inner = 1000
    for kind, own in (("uid", os.geteuid()), ("gid", os.getegid())):
        rows = f"0 0 1\n{inner} {host_id} 1" if os.geteuid() == 0 else f"{inner} {own} 1"
        if kind == "gid" and os.geteuid() != 0:
            with open(f"/proc/{pid}/setgroups", "w") as file:
                file.write("deny")
        with open(f"/proc/{pid}/{kind}_map", "w") as file:
            file.write(rows)


def _numpy_files(folder: str | None) -> list[str]:
    names = ("numpy", "numpy.libs")
    return [p for p in (os.path.join(folder, n) for n in names) if os.path.isdir(p)] if folder else []


def _descriptors(fds: list[int]) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds)


def _stdin(data: bytes) -> int:
    if not data:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
