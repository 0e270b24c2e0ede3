"""Tries every layer in a throw-away child: a layer counts as active only when what it forbids fails."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable

from rltf.execution.isolation import seccomp


def probe(report: dict[str, str], prepare: Callable[[], None], listener: int | None, outside: str) -> dict[str, str]:
    """The report, corrected by what happens in a child.

    Args:
        report: Layer -> state, as `IsolationLayers.enter` returned it.
        prepare: Restricts a child as programs are restricted (limits of 64 MB, signals).
        listener: Where forbidden system calls are announced.
        outside: A path that programs must not be able to read.
    """
    problems = _in_child(lambda: _try_everything(outside), prepare)
    for layer, problem in problems.items():
        if problem and not report[layer].startswith("absent"):
            report[layer] = f"absent: {problem}"
    if not report["seccomp"].startswith("absent") and not _is_announced(prepare, listener):
        report["seccomp"] = "absent: a network socket was not refused"
    return report


def _try_everything(outside: str) -> dict[str, str]:
    return {
        "limits": _memory(),
        "files": _open(outside),
        "landlock": _open("/"),
        "pids": "" if os.getppid() == 1 or not _signals(os.getppid()) else "other processes can be signalled",
        "user": "programs run as root" if os.getuid() == 0 else "",
    }


def _memory() -> str:
    try:
        bytearray(1 << 30)
    except MemoryError:
        return ""
    return "more memory than allowed could be had"


def _open(path: str) -> str:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return ""
    return f"{path} could be opened"


def _signals(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return False
    return True


def _in_child(work: Callable[[], dict[str, str]], prepare: Callable[[], None]) -> dict[str, str]:
    readable, writable = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            prepare()
            os.write(writable, json.dumps(work()).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with open(readable, "rb") as answer:
        text = answer.read()
    os.waitpid(pid, 0)
    return json.loads(text) if text else {"limits": "the probe did not survive"}


def _is_announced(prepare: Callable[[], None], listener: int | None) -> bool:
    """True when a child that asks for a network socket is stopped at it."""
    pid = os.fork()
    if pid == 0:
        import _socket

        try:
            prepare()
            _socket.socket(2, 1)
        finally:
            os._exit(0)
    if listener is None:
        return os.waitpid(pid, 0)[1] & 0x7F == signal.SIGSYS
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    stopped = bool(poll.poll(2000)) and seccomp.read_forbidden_call(listener) == "socket"
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return stopped
