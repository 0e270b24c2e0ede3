"""A private root file system: the interpreter's files read-only, a few devices, and a small scratch folder."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

from rltf.execution.isolation import syscalls
from rltf.execution.isolation.syscalls import (
    MS_BIND,
    MS_NOATIME,
    MS_NODEV,
    MS_NOSUID,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
)

SCRATCH = "/tmp"
SHARED = "/dev/shm"
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
MOUNT_POINTS = ("/tmp", "/mnt", "/media", "/var/tmp", "/srv", "/opt")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
INODES = 4096
"""Files and folders that a program may make."""


def interpreter_files() -> list[str]:
    """Files and folders that a running interpreter may still have to read: modules, libraries, time zones."""
    import sysconfig  # not in the zygote, which is told

    names = {sysconfig.get_path(k) for k in ("stdlib", "platstdlib")} | {os.path.join(sys.base_prefix, "lib")}
    names |= {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo"}
    paths = sorted(n for n in names if n and os.path.exists(n))
    return [path for path in paths if not any(path.startswith(folder + "/") for folder in paths)]


def package_folders(read: Sequence[str]) -> list[str]:
    """Folders of installed packages among those files: programs see the standard library alone."""
    folders = []
    for path in read:
        if os.path.isdir(path) and not os.path.islink(path):
            below = [entry.path for entry in os.scandir(path) if entry.name.startswith("python")]
            folders += [os.path.join(parent, name) for parent in (path, *below) for name in _PACKAGE_FOLDERS]
    return [folder for folder in folders if os.path.isdir(folder)]


def enter(read: Sequence[str], packages: Sequence[str], scratch_mb: int) -> None:
    """Makes the private root and moves this process into it; needs a mount namespace of its own.

    Args:
        read: Files and folders of the interpreter.
        packages: Folders of packages that programs may import, too; no other package is there.
        scratch_mb: Size of all files of a program.

    Raises:
        OSError: A mount is refused.
    """
    paths = [*read, *packages]
    base = _mount_point(paths)
    in_scratch = [path for path in paths if _below(path, SCRATCH) or _below(path, SHARED)]
    syscalls.mount("none", "/", "", MS_REC | MS_PRIVATE)
    syscalls.mount("rltf", base, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path in read:
        if path not in in_scratch:
            _bind(path, base)
    covers = [base + path for path in package_folders([path for path in read if path not in in_scratch])]
    for cover in covers:
        syscalls.mount("rltf", cover, "tmpfs", MS_NOSUID | MS_NODEV, "size=64k,mode=755")
    for path in packages:
        if path not in in_scratch:
            _bind(path, base)
    for cover in covers:
        _read_only(cover, device=False)
    for path in DEVICES:
        if os.path.exists(path):
            _bind(path, base)
    for path, size in ((SHARED, 1), (SCRATCH, scratch_mb)):
        os.makedirs(base + path, exist_ok=True)
        options = f"size={size}m,nr_inodes={INODES},mode=1777"
        syscalls.mount("rltf", base + path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOATIME, options)
    for path in in_scratch:  # an environment that lies in /tmp; its folders belong to root, so programs leave them
        _bind(path, base)
    os.symlink(f"{SCRATCH}/.stdin", base + "/dev/stdin")
    os.chdir(base)
    syscalls.syscall("pivot_root", ctypes.c_char_p(b"."), ctypes.c_char_p(b"."))
    syscalls.umount(".")
    syscalls.mount("none", "/", "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir(SCRATCH)


def _mount_point(read: Sequence[str]) -> str:
    """A folder to build the new root over, which hides none of the files that go into it."""
    for folder in MOUNT_POINTS:
        if os.path.isdir(folder) and not any(_below(path, folder) for path in read):
            return folder
    raise FileNotFoundError(f"no folder to build a private root in: all of {', '.join(MOUNT_POINTS)} are in use")


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder + "/")


def _bind(path: str, base: str) -> None:
    target = base + path
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.islink(path) and not path.startswith("/dev/"):
        os.symlink(os.readlink(path), target)
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    syscalls.mount(path, target, "", MS_BIND | MS_REC)
    _read_only(target, device=path.startswith("/dev/"))


def _read_only(target: str, device: bool) -> None:
    """Makes a mount read-only by mount_setattr, which keeps flags that a user namespace may not clear (Linux 5.12)."""
    attributes = 0x1 | 0x2 | (0 if device else 0x4)  # read-only, nosuid, nodev
    if device:
        attributes &= ~0x1
    data = ctypes.create_string_buffer(struct.pack("<QQQQ", attributes, 0, 0, 0), 32)
    at_fdcwd, recursive = -100, 0x8000
    syscalls.syscall("mount_setattr", at_fdcwd, ctypes.c_char_p(target.encode()), recursive, ctypes.byref(data), 32)
