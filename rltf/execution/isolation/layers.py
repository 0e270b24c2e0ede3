"""Puts the isolation layers round the zygote, one by one, and reports the state of each."""

from __future__ import annotations

import _socket
import contextlib
import os
import resource
from typing import Any

from rltf.execution.isolation import landlock, root, seccomp, syscalls

INNER_ID = 1000
"""User and group of programs inside the user namespace."""
HOST_IDS = 0x70000000
"""User ids from here on belong to no account; one for each sandbox where we are root."""
_MARGIN = 256
"""Tasks that the calling user may start elsewhere meanwhile; without a namespace the kernel counts them too."""
_NAMESPACES = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
)

PROBE_BYTES = 8 << 20
"""Memory that a child of the zygote has for a moment at the start, to see whether its memory cgroup counts it."""


class IsolationLayers:
    """The isolation layers of one zygote.

    Args:
        settings: `read` (paths of the interpreter), `packages` (paths of packages), `scratch_mb`, `host_id` (user for
            programs where we are root), `runs` (they may run what they can read, as compilers and compiled programs
            must), `without` (layers to leave out, to try what happens on lesser hosts).
        control: Socket to the worker, which maps users, makes folders and collects our parent when asked.
    """

    def __init__(self, settings: dict[str, Any], control: _socket.socket) -> None:
        self._settings = settings
        self._control = control
        self._without = set(settings["without"])
        self.report = {"limits": "active"}
        self.listener: int | None = None
        """Where forbidden calls are announced."""
        self.kills_all = False
        """True: `kill(-1)` reaches the processes of the program and no others."""
        self.scratch: list[str] = []
        """Folders that a program may fill; emptied after it."""
        self.private_root = False
        """True: the scratch folders are small file systems of their own."""
        self.tasks = 1
        """Tasks of the same user that are there before the program starts."""
        self.seals_signals = False
        """True: signals stay among the processes of one program by Landlock."""
        self._rules: int | None = None

    def enter(self) -> dict[str, str]:
        """Puts the layers on; returns layer -> `active`, `degraded: why` or `absent: why`."""
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")  # a host that runs out of memory ends programs, and not who has them judged
        namespaces = self._unshare()
        self._become_first(namespaces)
        self._take_root(namespaces)
        self._prepare_landlock()
        self._take_user(namespaces)
        syscalls.prctl(syscalls.PR_SET_PDEATHSIG, 9)  # after the change of user, which would clear it
        syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        os.umask(0o022)
        self._landlock()
        self._seccomp()
        return self.report

    def _unshare(self) -> bool:
        why = "left out by configuration"
        if "namespaces" not in self._without:
            try:
                syscalls.unshare(syscalls.CLONE_NEWUSER | _NAMESPACES)
                self._ask("map")
                self.report |= dict.fromkeys(("user", "pids", "network"), "active")
                self._check_network()
                return True
            except OSError as e:
                why = str(e)
            try:
                syscalls.unshare(_NAMESPACES)
                self.report |= {"user": f"degraded: no user namespace ({why})", "pids": "active", "network": "active"}
                self._check_network()
                return True
            except OSError as e:
                why = str(e)
        self.report |= dict.fromkeys(("user", "files", "pids", "network"), f"absent: {why}")
        return False

    def _check_network(self) -> None:
        if {name for _, name in _socket.if_nameindex()} - {"lo"}:
            self.report["network"] = "absent: interfaces of the host are visible"

    def _become_first(self, namespaces: bool) -> None:
        """Makes this process the first of its PID namespace, or without one the heir of programs' orphans."""
        if namespaces and (pid := os.fork()):
            self._control.send(b"pid %d" % pid)
            os._exit(0)
        if namespaces:
            self._wait("go")
        else:
            self._control.send(b"pid %d" % os.getpid())
            self._wait("go")
            syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        self.kills_all = namespaces

    def _take_root(self, namespaces: bool) -> None:
        if not namespaces:
            self._take_scratch()
            return
        try:
            root.enter(self._settings["read"], self._settings["packages"], self._settings["scratch_mb"])
        except OSError as e:
            self.report["files"] = f"absent: {e}"
            self._take_scratch()
        else:
            self.report["files"] = "active"
            self.scratch = [root.SCRATCH, root.SHARED]
            self.private_root = True

    def _take_scratch(self) -> None:
        """A folder of the host stands in for a private root."""
        self._control.send(b"scratch")
        self.scratch = [self._control.recv(4096).decode()]
        os.chdir(self.scratch[0])

    def _take_user(self, namespaces: bool) -> None:
        """Changes to an unprivileged user, since the kernel does not count root's tasks."""
        inner = INNER_ID if self.report["user"] == "active" else self._settings["host_id"]
        if os.getuid() != 0 and not namespaces:
            self.report["user"] = f"{self.report['user']}; programs run as the calling user"
            self.report["pids"] = "degraded: processes are found below the zygote and killed one by one"
            self.tasks = _tasks_of(os.getuid()) + _MARGIN
            return
        capabilities = 0
        try:
            if not namespaces:
                os.chown(self.scratch[0], inner, inner)
                if self._rules is not None:
                    # the interpreter may lie where only root can look; Landlock lets nothing else be read
                    syscalls.prctl(syscalls.PR_SET_KEEPCAPS, 1)
                    capabilities = syscalls.CAP_DAC_READ_SEARCH
            with contextlib.suppress(OSError):
                os.setgroups([])
            os.setresgid(inner, inner, inner)
            os.setresuid(inner, inner, inner)
            self.kills_all = True  # the user id is this sandbox's alone
            if not namespaces:
                self.report["user"] = "degraded: a user id of its own, no user namespace"
                self.report["pids"] = "degraded: programs are killed by their user id"
        except OSError as e:
            self.report["user"] = f"absent: {e}"
        with contextlib.suppress(OSError):
            syscalls.drop_capabilities_except(capabilities)

    def _prepare_landlock(self) -> None:
        if "landlock" in self._without:
            self.report["landlock"] = "absent: left out by configuration"
            return
        read = sorted({os.path.realpath(path) for path in self._settings["read"]})
        hidden = [] if self.private_root else root.package_folders(read)  # a private root has them covered
        try:
            read = [*read, *self._settings["packages"]]
            writable = [*self.scratch, *root.DEVICES]
            rules, covered = landlock.prepare(read, writable, hidden, self._settings["runs"])
        except OSError as e:
            self.report["landlock"] = f"absent: {e}"
            return
        self._rules = rules
        self.report["landlock"] = "active" if "signals" in covered else f"degraded: only {covered}"
        self.seals_signals = "signals" in covered and self.report["pids"] != "active"

    def _landlock(self) -> None:
        if self._rules is None:
            return
        landlock.restrict(self._rules)
        if self.report["files"] != "active":
            self.report["files"] = "degraded: no private root, Landlock guards what files hold"

    def _seccomp(self) -> None:
        if "seccomp" in self._without:
            self.report["seccomp"] = "absent: left out by configuration"
            return
        try:
            self.listener = seccomp.install(self.private_root, self._settings["runs"])
        except OSError as e:
            self.report["seccomp"] = f"absent: {e}"
            return
        self.report["seccomp"] = "active" if self.listener is not None else "degraded: kills the caller only"
        if self.report["network"] != "active":
            self.report["network"] = "degraded: no namespace, seccomp refuses sockets"

    def seal_signals(self) -> None:
        """Keeps a child's signals among the processes of its program, where no PID namespace does (`seals_signals`)."""
        landlock.keep_signals_inside()

    def probe_memory(self) -> None:
        """Lets the worker see whether memory that a child uses is counted."""
        pid = os.fork()
        if pid == 0:
            try:
                filled = b"x" * PROBE_BYTES
                self._ask("memory in use")
                del filled
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def _ask(self, what: str) -> None:
        self._control.send(what.encode())
        self._wait("go")

    def _wait(self, what: str) -> None:
        if self._control.recv(64) != what.encode():
            os._exit(1)


def _tasks_of(user: int) -> int:
    """Tasks that a user has now (the kernel counts them all against the limit)."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
    soft = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    return count if soft == resource.RLIM_INFINITY else min(count, soft)
