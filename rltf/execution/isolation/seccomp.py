"""A filter on system calls, built by hand as classic BPF.

Three answers: *forbidden* calls are reported to the zygote before they happen (user notification; the whole program is
then killed, whichever of its processes asked) or, on kernels without it, kill the caller; *unsupported* ones say
ENOSYS, so that libc takes its older way; *refused* ones say EPERM, which honest libraries survive. All else is allowed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import struct

from rltf.execution.isolation.syscalls import MACHINE, syscall

# name: (x86-64, aarch64); None where the architecture has no such call
FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "fanotify_init": (300, 262),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "setgroups": (116, 159),
    "capset": (126, 91),
    "execve": (59, 221),
    "execveat": (322, 281),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "vhangup": (153, 58),
    "syslog": (103, 116),
}
UNSUPPORTED: dict[str, tuple[int | None, int | None]] = {"clone3": (435, 435), "memfd_secret": (447, 447)}
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "get_mempolicy": (239, 236),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "personality": (135, 92),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "memfd_create": (319, 279),
}
_SOCKET = (41, 198)
_CLONE = (56, 220)
_AF_UNIX = 1
_NEW_NAMESPACES = 0x7E020000  # every CLONE_NEW* flag that clone() knows

_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_KILL, _ERRNO, _NOTIFY, _ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_LOAD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_MODE_FILTER, _FLAG_LISTENER = 1, 8
_RECEIVE = 0xC0502100
_NOTICE = struct.Struct("<QIIiIQ6Q")


def filter_program(forbidden: int) -> bytes:
    """The filter for this machine; `forbidden` is what it returns for forbidden calls."""
    column = MACHINE == "aarch64"
    rows = [(_LOAD, 0, 0, 4), (_JEQ, 1, 0, _ARCH[MACHINE]), (_RET, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    if not column:
        rows += [(_JGE, 0, 1, 0x40000000), (_RET, 0, 0, _KILL)]  # the x32 numbers
    groups = ((FORBIDDEN, forbidden), (UNSUPPORTED, _ERRNO | errno.ENOSYS), (REFUSED, _ERRNO | errno.EPERM))
    for names, action in groups:
        for number in (pair[column] for pair in names.values()):
            if number is not None:
                rows += [(_JEQ, 0, 1, number), (_RET, 0, 0, action)]
    # socket(): the low half of the family; clone(): the low half of the flags
    rows += [(_JEQ, 0, 4, _SOCKET[column]), (_LOAD, 0, 0, 16), (_JEQ, 0, 1, _AF_UNIX)]
    rows += [(_RET, 0, 0, _ALLOW), (_RET, 0, 0, forbidden)]
    rows += [(_JEQ, 0, 3, _CLONE[column]), (_LOAD, 0, 0, 16), (_JSET, 0, 1, _NEW_NAMESPACES), (_RET, 0, 0, forbidden)]
    rows += [(_RET, 0, 0, _ALLOW)]
    return b"".join(struct.pack("<HBBI", *row) for row in rows)


def install() -> int | None:
    """Filters this process and all it will fork; needs `no_new_privs`.

    Returns:
        The descriptor at which forbidden calls are announced, or None where they kill the caller instead.

    Raises:
        OSError: This kernel or architecture has no seccomp filters.
    """
    if MACHINE not in _ARCH:
        raise OSError(errno.ENOSYS, f"no system call table for {MACHINE}")
    try:
        return _load(filter_program(_NOTIFY), _FLAG_LISTENER)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.EBUSY):
            raise
    _load(filter_program(_KILL), 0)
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
    names = FORBIDDEN | {"socket": _SOCKET, "clone": _CLONE}
    return next((name for name, pair in names.items() if pair[column] == number), f"system call {number}")
