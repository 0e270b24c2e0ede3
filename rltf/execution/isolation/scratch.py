"""Scratch folders on hosts that give no private root: made and deleted by the worker."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from rltf.execution.isolation.emptying import FOLDER, empty
from rltf.execution.isolation.layers import HOST_IDS

_PREFIX = "rltf-slot-"


def make() -> tuple[str, int]:
    """A fresh scratch folder in the host's folder of temporary files, and the descriptor that says it is in use."""
    sweep()
    while True:
        folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")
        lock = _lock(folder)
        if lock is not None and os.path.exists(folder):
            return folder, lock
        if lock is not None:  # swept between the two steps
            os.close(lock)


def remove(folder: str, lock: int) -> None:
    """Deletes a folder that `make` made; no process of its programs may be left."""
    try:
        with contextlib.suppress(OSError):
            empty(folder, None)
            os.rmdir(folder)
    finally:
        os.close(lock)


def sweep() -> None:
    """Deletes the scratch folders of workers that were killed: those that nobody holds locked."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (lock := _lock(str(path))) is not None:
            remove(str(path), lock)


def _lock(folder: str) -> int | None:
    """A descriptor that holds the lock of a folder; None where another process has it, or the folder is not ours."""
    try:
        fd = os.open(folder, FOLDER)
    except OSError:
        return None
    owner, user = os.fstat(fd).st_uid, os.geteuid()
    try:
        if owner != user and not (user == 0 and owner >= HOST_IDS):
            raise PermissionError(folder)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd
