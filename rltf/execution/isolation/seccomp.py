"""A filter on system calls, built by hand as classic BPF.

Three answers: *forbidden* calls are reported to the zygote before they happen (user notification; the whole program is
then killed, whichever of its processes asked) or, on kernels without it, kill the caller; *unsupported* ones say
ENOSYS, so that libc takes its older way, and so do all that are newer than our tables; *refused* ones say EPERM, which
honest libraries survive. All else is allowed. Where programs have no root of their own, what Landlock leaves open is
refused as well.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct

from rltf.execution.isolation.call_tables import (
    BY_ARGUMENT,
    FORBIDDEN,
    NEWEST,
    NO_ROOT_BY_ARGUMENT,
    NO_ROOT_REFUSED,
    NO_ROOT_UNSUPPORTED,
    REFUSED,
    RUNNING,
    UNSUPPORTED,
)
from rltf.execution.isolation.syscalls import MACHINE, syscall

_AF_UNIX = 1
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone() knows
_PR_SCHED_CORE = 62

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_KILL, _ERRNO, _NOTIFY, _ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_REFUSE = _ERRNO | errno.EPERM
_LOAD, _AND, _JEQ, _JGE, _JSET, _RET = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_MODE_FILTER, _FLAG_LISTENER = 1, 8
_RECEIVE = 0xC0502100
_NOTICE = struct.Struct("<QIIiIQ6Q")


Row = tuple[int, int, int, int]
"""One instruction: code, jumps where true and where false, operand."""


def filter_program(forbidden: int, private_root: bool, runs: bool = False) -> bytes:
    """The filter for this machine.

    Args:
        forbidden: What it returns for forbidden calls.
        private_root: Programs see no file of the host, so that calls which need one are harmless.
        runs: They may run other files in their place.
    """
    aarch64 = MACHINE == "aarch64"
    rows: list[Row] = [(_LOAD, 0, 0, 4), (_JEQ, 1, 0, _ARCH[MACHINE]), (_RET, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if not aarch64:
        rows += [(_JGE, 0, 1, 0x40000000), (_RET, 0, 0, _KILL)]  # the x32 numbers
    rows += [(_JGE, 0, 1, NEWEST + 1), (_RET, 0, 0, _ERRNO | errno.ENOSYS)]
    groups = [(FORBIDDEN, forbidden), (UNSUPPORTED, _ERRNO | errno.ENOSYS), (REFUSED, _REFUSE)]
    if not private_root:
        groups += [(NO_ROOT_REFUSED, _REFUSE), (NO_ROOT_UNSUPPORTED, _ERRNO | errno.EOPNOTSUPP)]
    for names, action in groups:
        for name, pair in names.items():
            number = None if runs and name in RUNNING else pair[aarch64]
            if number is not None:
                rows += [(_JEQ, 0, 1, number), (_RET, 0, 0, action)]
    for name, test in _tests_of_arguments(forbidden, private_root).items():
        number = (BY_ARGUMENT | NO_ROOT_BY_ARGUMENT)[name][aarch64]
        if number is not None:
            rows += [(_JEQ, 0, len(test) + 1, number), *test, (_RET, 0, 0, _ALLOW)]
    rows += [(_RET, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


def _tests_of_arguments(forbidden: int, private_root: bool) -> dict[str, list[Row]]:
    """Call -> instructions that end with a refusal, or run out where it is allowed.

    The kernel looks at the low half alone of the numbers tested here, but for the address of `sendto`.
    """
    this_process = [_low(0), (_JEQ, 1, 0, 0), (_RET, 0, 0, _REFUSE)]
    unix = [_low(0), (_JEQ, 1, 0, _AF_UNIX), (_RET, 0, 0, forbidden)]
    tests = {
        "socket": unix,
        "socketpair": unix,
        "clone": [_low(0), (_JSET, 0, 1, _NEW_NAMESPACES), (_RET, 0, 0, forbidden)],
        "prctl": [_low(0), (_JEQ, 0, 1, _PR_SCHED_CORE), (_RET, 0, 0, _REFUSE)],  # takes a process id
        "prlimit64": this_process,  # neither the zygote's nor, where it is seen, the trainer's
        "sched_setaffinity": this_process,
    }
    if private_root:
        return tests
    kind = [
        _low(1),
        (_AND, 0, 0, 0xF),
        (_JEQ, 2, 0, _SOCK_STREAM),
        (_JEQ, 1, 0, _SOCK_SEQPACKET),
        (_RET, 0, 0, _REFUSE),
    ]
    # the zygote cannot change modes either: folders stay such that it can empty them
    open_folder: list[Row] = [(_AND, 0, 0, 0o700), (_JEQ, 1, 0, 0o700), (_RET, 0, 0, _REFUSE)]
    return tests | {
        "socket": [*unix, (_RET, 0, 0, _REFUSE)],  # the services of the host have names among files
        "socketpair": [*unix, *kind],  # the ends of datagram pairs could send to them
        "sendto": [_low(4), (_JEQ, 0, 2, 0), _high(4), (_JEQ, 1, 0, 0), (_RET, 0, 0, _REFUSE)],
        "mkdir": [_low(1), *open_folder],
        "mkdirat": [_low(2), *open_folder],
        "umask": [_low(0), (_JSET, 0, 1, 0o700), (_RET, 0, 0, _REFUSE)],
    }


def _low(argument: int) -> Row:
    """Loads the low half of an argument."""
    return _LOAD, 0, 0, 16 + 8 * argument


def _high(argument: int) -> Row:
    return _LOAD, 0, 0, 20 + 8 * argument


def install(private_root: bool, runs: bool = False) -> int | None:
    """Filters this process and all it will fork; needs `no_new_privs`.

    Args:
        private_root: Programs see no file of the host.
        runs: They may run other files in their place.

    Returns:
        The descriptor at which forbidden calls are announced, or None where they kill the caller instead.

    Raises:
        OSError: This kernel or architecture has no seccomp filters.
    """
    if MACHINE not in _ARCH:
        raise OSError(errno.ENOSYS, f"no system call table for {MACHINE}")
    try:
        return _load(filter_program(_NOTIFY, private_root, runs), _FLAG_LISTENER)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.EBUSY):
            raise
    _load(filter_program(_KILL, private_root, runs), 0)
    return None


def _load(code: bytes, flags: int) -> int:
    buffer = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    return syscall("seccomp", _MODE_FILTER, flags, ctypes.create_string_buffer(header, len(header)))


def read_forbidden_call(listener: int) -> str:
    """The forbidden call that waits at `listener`, e.g. `execve`; empty when it is gone."""
    notice = bytearray(_NOTICE.size)
    try:
        fcntl.ioctl(listener, _RECEIVE, notice)
    except OSError:
        return ""
    number = _NOTICE.unpack(notice)[3]
    column = MACHINE == "aarch64"
    names = FORBIDDEN | BY_ARGUMENT
    return next((name for name, pair in names.items() if pair[column] == number), f"system call {number}")
