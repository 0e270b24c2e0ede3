"""File, TCP and signal rules that need no namespace (Landlock, Linux 5.13 and later)."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable, Sequence

from rltf.execution.isolation.syscalls import syscall

_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 2, 4, 8
_MAKE_CHAR, _MAKE_BLOCK, _REFER, _TRUNCATE, _IOCTL = 1 << 6, 1 << 11, 1 << 13, 1 << 14, 1 << 15
_FS = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
"""Rights over files that each ABI knows."""
_FILE_ONLY = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL


def abi() -> int:
    """Version of Landlock in this kernel.

    Raises:
        OSError: There is none, or it is switched off.
    """
    return syscall("landlock_create_ruleset", None, 0, 1)


def prepare(
    read: Iterable[str], write: Iterable[str], hidden: Sequence[str] = (), runs: bool = False
) -> tuple[int, str]:
    """Rules for `restrict`, made while this process may still open all the paths.

    Args:
        read: Files and folders that may be read.
        write: Files and folders in which anything may be done but running and making devices.
        hidden: Folders below those of `read`, whose names can be listed but not read.
        runs: Files that may be read may be run, too.

    Returns:
        A descriptor, and what the rules cover, e.g. `files, tcp, signals (abi 7)`.

    Raises:
        OSError: Landlock is absent.
    """
    version = abi()
    files = _FS[min(version, len(_FS) - 1)]
    tcp = 3 if version >= 4 else 0
    scope = 3 if version >= 6 else 0
    attributes = struct.pack("<QQQ", files, tcp, scope)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = syscall("landlock_create_ruleset", _buffer(attributes), len(attributes), 0)
    all_but_running = files & ~(_EXECUTE | _MAKE_CHAR | _MAKE_BLOCK)
    for path in read:
        _allow_reading(ruleset, path, hidden, _READ | _EXECUTE * runs)
    for path in write:
        _allow(ruleset, path, all_but_running)
    return ruleset, ", ".join(["files"] + ["tcp"] * bool(tcp) + ["signals"] * bool(scope)) + f" (abi {version})"


def restrict(ruleset: int) -> None:
    """Restricts this process and all it will fork, for good; needs `no_new_privs`."""
    try:
        syscall("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def keep_signals_inside() -> None:
    """From now on this process and its children can signal one another only (ABI 6)."""
    attributes = struct.pack("<QQQ", 0, 0, 2)
    restrict(syscall("landlock_create_ruleset", _buffer(attributes), len(attributes), 0))


def _allow_reading(ruleset: int, path: str, hidden: Sequence[str], rights: int) -> None:
    """A rule holds for all that is below its folder, so one with a hidden part is allowed entry by entry."""
    if not any(folder.startswith(path + "/") for folder in hidden):
        _allow(ruleset, path, rights | _READ_DIR)
        return
    _allow(ruleset, path, _READ_DIR)  # imports list folders
    for entry in os.scandir(path):
        if entry.path not in hidden and not entry.is_symlink():
            _allow_reading(ruleset, entry.path, hidden, rights)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FILE_ONLY
        syscall("landlock_add_rule", ruleset, 1, _buffer(struct.pack("<Qi", rights, fd)), 0)
    finally:
        os.close(fd)


def _buffer(data: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(data, len(data))
