"""A sandbox, seen from the worker that owns it: starts the zygote, forks programs in it, replaces it."""

from __future__ import annotations

import _socket
import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Callable

from rltf.execution.inside.coverage import CoverageMarks
from rltf.execution.isolation import root, scratch, syscalls
from rltf.execution.isolation.layers import HOST_IDS
from rltf.execution.isolation.memory import MemoryGroup
from rltf.execution.languages import RUNTIMES
from rltf.execution.sandbox.control import ENVIRONMENT, FORK, START_ENVIRONMENT
from rltf.execution.sandbox.limits import Limits, ZygoteLost
from rltf.execution.sandbox.process import SandboxedProcess
from rltf.execution.sandbox.process_tree import children, kill_descendants
from rltf.execution.sandbox.settings import SandboxSettings, SharedMemory
from rltf.execution.sandbox.zygote_link import ZygoteLink
from rltf.execution.sandbox.zygote_start import command, map_users, runtime_files

_PROGRAMS_PER_ZYGOTE = 5000
_START_SECONDS = 20.0
_ZYGOTES: set[int] = set()
"""Process ids of the zygotes of all sandboxes of this process."""
_RESERVE = 4 << 30
"""Bytes of address space for stacks, where a memory cgroup counts what is used of them."""
_FDS = {count: struct.Struct(f"{count}i") for count in (2, 3, 4, 5)}


class Sandbox:
    """Starts a zygote when first needed, forks programs in it, and replaces it when it is old or lost.

    Args:
        settings: how the sandbox is made.
        runtime: what programs find loaded beyond the standard library; None: nothing.
        grader: True: it forks graders, which run tests, and not programs.
        compiles: True: it forks a process that compiles programs, and runs none.
    """

    def __init__(
        self, settings: SandboxSettings, runtime: str | None = None, grader: bool = False, compiles: bool = False
    ) -> None:
        self._settings = settings
        self._grader, self._compiles = grader, compiles
        self._runtime = runtime
        self._control: socket.socket | None = None
        self._programs = 0
        self.pid = 0
        """Process id of the zygote as we see it."""
        self._listener: int | None = None  # where forbidden calls of programs are announced
        self._link: ZygoteLink | None = None
        """The running zygote, once it has forked."""
        self._strangers: set[int] = set()
        """Children of this process that were there before the zygote."""
        self.report: dict[str, str] = {}
        self._scratch: tuple[str, int] | None = None
        """Folder of the host for the files of programs, and the descriptor that holds its lock."""
        self._memory_group: MemoryGroup | None = None
        self._memory_bytes = 0
        """What the memory group grants a program."""
        self._memory_state = ""
        self.marks = CoverageMarks()
        """Which lines a program executes."""
        self.when_waiting: Callable[[], None] | None = None
        """Called when a program takes longer than a few milliseconds."""

    def fork(
        self, limits: Limits, stdin: bytes | None = None, memory: SharedMemory | None = None, tests: int = 1
    ) -> SandboxedProcess:
        """A new process that waits for its job.

        Args:
            limits: what it may use.
            stdin: what it reads; only with it are its stdout and stderr told apart.
            memory: where it is to say which lines it executes or which values it computes, or its binary.
            tests: that it runs, one after another.

        Raises:
            ZygoteLost: The zygote could not be started or reached.
        """
        if self._programs >= _PROGRAMS_PER_ZYGOTE or (self._link is not None and self._link.killed_for_memory):
            self.close()
        if self._control is None:
            self.start()
        self._programs += 1
        if self._memory_group is not None and limits.memory_bytes != self._memory_bytes:
            self._limit_memory(limits.memory_bytes)
        channel, child_channel = _socket.socketpair()
        outputs: list[int] = []
        if self._grader:
            write = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        else:
            read, write = os.pipe2(os.O_CLOEXEC)
            outputs = [read]
        child_fds = [child_channel.fileno(), write]
        if stdin is not None:
            read_stderr, write_stderr = os.pipe2(os.O_CLOEXEC)
            child_fds = [child_channel.fileno(), _stdin(stdin), write, write_stderr]
            outputs = [read, read_stderr]
        sent_fds = child_fds if memory is None else [*child_fds, memory.fd]
        try:
            assert self._control is not None
            reserve = 0 if self._memory_group is None else _RESERVE
            request = FORK.pack(limits.memory_bytes, reserve, limits.cpu_seconds(tests))
            self._control.sendmsg(
                [request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FDS[len(sent_fds)].pack(*sent_fds))]
            )
        except OSError as e:
            channel.close()
            for fd in outputs:
                os.close(fd)
            self.close()
            raise ZygoteLost(str(e)) from None
        finally:
            child_channel.close()
            for fd in child_fds[1:]:
                os.close(fd)
        if self._link is None:
            self._link = ZygoteLink(self._control, self.pid, self._listener, self._memory_group, self._end_orphans)
        return SandboxedProcess(self._link, channel, outputs, limits, self.when_waiting)

    @property
    def _host_id(self) -> int:
        """User id of the processes inside, where we are root; no other sandbox has it."""
        kind = 8 * self._compiles + 4 * self._grader + (None, *RUNTIMES).index(self._runtime)
        return HOST_IDS + 16 * os.getpid() + kind

    def _limit_memory(self, size: int) -> None:
        assert self._memory_group is not None
        try:
            self._memory_group.limit(size + (self._settings.scratch_mb << 20))
        except OSError as e:
            self.close()
            raise ZygoteLost(f"the memory limit could not be set: {e}") from None
        self._memory_bytes = size

    def start(self) -> None:
        """Starts the zygote unless it runs.

        Raises:
            ZygoteLost: It does not come up.
        """
        if self._control is not None:
            return
        control, zygote_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        control.settimeout(_START_SECONDS)
        path = self._settings.runtimes.get(self._runtime or "")
        settings = {
            "source": self._settings.source,
            "runtime": self._runtime,
            "module": RUNTIMES[self._runtime].module if self._runtime else None,
            "runtime_path": path,
            "runs": self._runtime is not None and RUNTIMES[self._runtime].compiler is not None,
            "read": root.interpreter_files(),
            "packages": runtime_files(self._runtime, path),
            "scratch_mb": self._settings.scratch_mb,
            "file_bytes": self._settings.scratch_mb << 20,
            "tasks": self._settings.tasks,
            "host_id": self._host_id,
            "grader": self._grader,
            "without": list(self._settings.without),
        }
        control.send(json.dumps(settings).encode())
        self._strangers = set(children(os.getpid()))
        stub = subprocess.Popen(
            command(zygote_control.fileno()),
            env=ENVIRONMENT | START_ENVIRONMENT | {"PYTHONHASHSEED": str(self._settings.hash_seed)},
            pass_fds=[zygote_control.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        zygote_control.close()
        self._control, self._link = control, None
        self._programs = 0
        try:
            self._answer_start(control, stub)
        except (OSError, ValueError, ZygoteLost) as e:
            stub.kill()
            stub.wait()
            self.close()
            raise ZygoteLost(f"the sandbox did not start: {e}") from None
        control.settimeout(None)

    def _answer_start(self, control: socket.socket, stub: subprocess.Popen[bytes]) -> None:
        """Does what a starting zygote cannot do from inside, until it sends its report.

        Args:
            stub: the process that was started; the zygote itself is a child of it where there is a PID namespace.
        """
        while True:
            message, fds, _, _ = socket.recv_fds(control, 1 << 16, 1)
            if not message:
                raise ZygoteLost("it ended while starting")
            if message == b"map":
                map_users(stub.pid, self._host_id)
                control.send(b"go")
            elif message == b"scratch":
                self._scratch = scratch.make()
                control.send(self._scratch[0].encode())
            elif message == b"memory in use":
                self._check_memory_group()
                control.send(b"go")
            elif message.startswith(b"pid "):
                self.pid = int(message[4:])
                _ZYGOTES.add(self.pid)
                self._make_memory_group()
                if self.pid != stub.pid:
                    stub.wait()
                control.send(b"go")
            else:
                self._listener = fds[0] if fds else None
                self.report = json.loads(message) | {"memory": self._memory_state}
                return

    def _make_memory_group(self) -> None:
        if "cgroup" in self._settings.without:
            self._memory_state = "absent: left out by configuration"
            return
        try:
            self._memory_group, self._memory_bytes = MemoryGroup.make(f"{os.getpid()}-{id(self):x}"), 0
            self._memory_group.add(self.pid)
            self._memory_state = "active"
        except OSError as e:
            self._drop_memory_group(f"no memory cgroup ({e})")

    def _check_memory_group(self) -> None:
        if self._memory_group is not None and not self._memory_group.counts():
            self._drop_memory_group("the memory cgroup does not count")

    def _drop_memory_group(self, why: str) -> None:
        self._memory_state = f"absent: {why}"
        if self._memory_group is not None:
            self._memory_group.remove()
            self._memory_group = None

    def close(self) -> None:
        """Ends the zygote and with it everything inside; called again by a signal in its midst, it does the rest."""
        control, self._control = self._control, None
        if control is not None:
            control.close()
        listener, self._listener = self._listener, None
        if listener is not None:
            os.close(listener)
        if self.pid:
            kill_descendants(self.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self._end_orphans()
            _ZYGOTES.discard(self.pid)
            self.pid = 0
        if self._memory_group is not None:
            self._memory_group.remove()
            self._memory_group = None
        if self._scratch is not None:
            scratch.remove(*self._scratch)
            self._scratch = None

    def _end_orphans(self) -> None:
        """Ends processes of a program whose zygote ended before them, which have fallen to this process."""
        while orphans := [pid for pid in children(os.getpid()) if pid not in self._strangers | _ZYGOTES]:
            for pid in orphans:
                kill_descendants(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def become_subreaper() -> None:
    """Has this process inherit zygotes, whose first parents end at once, so that it can wait for them."""
    syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)


def _stdin(text: bytes) -> int:
    """A descriptor from which `text` can be read."""
    if not text:
        return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC)
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
