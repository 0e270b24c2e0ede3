"""System calls that Python 3.11 has no function for, by ctypes."""

from __future__ import annotations

import ctypes
import os

MACHINE = os.uname().machine
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
CLONE_NEWCGROUP = 0x02000000

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38

CAP_DAC_READ_SEARCH = 1 << 2

_M_ARENA_MAX = -8
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MS_RDONLY, MS_REMOUNT, MS_NOATIME = 0x1, 0x20, 0x400
MNT_DETACH = 2

_NUMBERS = {  # x86-64, aarch64
    "pivot_root": (155, 41),
    "capset": (126, 91),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
    "mount_setattr": (442, 442),
}


def supported() -> bool:
    """True on the architectures that the tables know."""
    return MACHINE in ("x86_64", "aarch64")


def syscall(name: str, *args: object) -> int:
    """A raw system call.

    Raises:
        OSError: It failed, or this architecture is unknown.
    """
    if not supported():
        raise OSError(38, f"no system call table for {MACHINE}")
    number = _NUMBERS[name][MACHINE == "aarch64"]
    return _checked(_libc.syscall(ctypes.c_long(number), *(_word(a) for a in args)), name)


def prctl(option: int, value: int = 0) -> None:
    """`prctl(option, value, 0, 0, 0)`."""
    _checked(_libc.prctl(option, *(ctypes.c_ulong(v) for v in (value, 0, 0, 0))), "prctl")


def unshare(flags: int) -> None:
    """New namespaces for this process (PID: for its children)."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """`mount(2)`."""
    words = (source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), data.encode() or None)
    _checked(_libc.mount(*words), f"mount {target}")


def umount(target: str) -> None:
    """Detaches a mount."""
    _checked(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


def drop_capabilities_except(capabilities: int = 0) -> None:
    """Gives up every capability of this process but those in the bit set `capabilities` (the lower 32)."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    syscall("capset", ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)(capabilities, capabilities)))


def trim() -> None:
    """Returns memory that this process has freed to the kernel, where the C library can (glibc)."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)


def share_arena() -> None:
    """Has threads allocate from one arena (glibc): those of their own reserve up to 128 MB of address space each."""
    if hasattr(_libc, "mallopt"):
        _libc.mallopt(_M_ARENA_MAX, 1)


def _word(value: object) -> object:
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(result: int, what: str) -> int:
    if result < 0:
        errno = ctypes.get_errno()
        raise OSError(errno, f"{what}: {os.strerror(errno)}")
    return result
