"""Parts of the standard library that start other programs or open sockets or devices where there are none.

They are honest calls with a fallback of their own (`platform.platform()` runs `uname`, `uuid.uuid1()` asks a daemon,
shared memory starts a tracker, `ctypes.util` runs the linker), so they take it at once instead of a forbidden call.
A program gets only what its text mentions; nothing is done for the others.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

_real_open, _real_os_open = io.open, os.open
_STREAMS = {
    **{f"{folder}/{fd}": fd for folder in ("/dev/fd", "/proc/self/fd") for fd in range(3)},
    "/dev/stdout": 1,
    "/dev/stderr": 2,
}
_STDIN = "/dev/stdin"
_NODE = 0x01_72_6C_74_66_00
"""A hardware address that belongs to none: the bit of groups is set."""


def adapt(text: str) -> None:
    """Prepares the standard library for a program with this text; `program.module` says whether it is worth asking."""
    for word, change in _CHANGES.items():
        if word in text:
            with contextlib.suppress(Exception):  # a module that this interpreter lacks
                change(text)


def _uuid(text: str) -> None:
    import uuid

    module: Any = uuid
    module._generate_time_safe = None
    module._node = _NODE


def _platform(text: str) -> None:
    import platform

    module: Any = platform
    module._Processor.from_subprocess = staticmethod(lambda: "")
    module._syscmd_file = lambda target, default="": default


def _find_library(text: str) -> None:
    import ctypes.util

    module: Any = ctypes.util
    module._findLib_gcc = module._findLib_ld = module._get_soname = lambda name: None
    module._findSoname_ldconfig = _soname


def _soname(name: str) -> str | None:
    """A shared library among those of the system."""
    machine = f"{os.uname().machine}-linux-gnu"
    for folder in (f"/lib/{machine}", f"/usr/lib/{machine}", "/lib64", "/usr/lib64", "/lib", "/usr/lib"):
        with contextlib.suppress(OSError):
            names = [n for n in os.listdir(folder) if n.startswith(f"lib{name}.so")]
            if names:
                return min(names, key=lambda n: (n.count(".") != 2, n))  # libc.so.6 rather than libc.so
    return None


def _shared_memory(text: str) -> None:
    from multiprocessing import resource_tracker, shared_memory

    memory: Any = shared_memory
    tracker: Any = resource_tracker.ResourceTracker
    tracker.ensure_running = lambda self: None
    tracker._send = lambda self, *message: None
    if not _is_writable("/dev/shm"):
        folder = os.getcwd()
        files: Any = SimpleNamespace(
            shm_open=lambda name, flags, mode=0o600: os.open(folder + name.replace("/", "/.shm-"), flags, mode),
            shm_unlink=lambda name: os.unlink(folder + name.replace("/", "/.shm-")),
        )
        memory._posixshmem = files


def _is_writable(folder: str) -> bool:
    path = f"{folder}/rltf-{os.getpid()}"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.unlink(path)
    except OSError:
        return False
    return True


def _devices(text: str) -> None:
    """The names of the standard streams, in a root that has no `/proc` for them to lead to."""
    if _STDIN in text or "/fd/0" in text:
        _copy_stdin()
    io.open = builtins.open = _open
    os.open = _os_open


def _copy_stdin() -> None:
    """`/dev/stdin` of the private root is a link to this file."""
    try:
        with _real_open("/tmp/.stdin", "wb") as file:
            while chunk := os.read(0, 1 << 16):
                file.write(chunk)
        os.lseek(0, 0, os.SEEK_SET)
    except OSError:
        return  # a root of another kind: /dev/stdin is the system's own


def _open(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
    """Open file and return a stream; the standard streams also by their names."""
    fd = _stream(file)
    if fd is None:
        return _real_open(file, mode, *args, **options)
    return _real_open(os.dup(fd) if fd else _STDIN, mode, *args, **options)


def _os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    fd = _stream(path)
    if fd is None:
        return _real_os_open(path, flags, mode, dir_fd=dir_fd)
    return os.dup(fd) if fd else _real_os_open(_STDIN, flags)


def _stream(file: Any) -> int | None:
    return _STREAMS.get(os.fspath(file)) if isinstance(file, str | os.PathLike) else None


_CHANGES: dict[str, Callable[[str], None]] = {
    "/dev/": _devices,
    "/proc/self/fd": _devices,
    "uuid": _uuid,
    "platform": _platform,
    "find_library": _find_library,
    "shared_memory": _shared_memory,
}
"""Word in a text -> what is done for it."""
