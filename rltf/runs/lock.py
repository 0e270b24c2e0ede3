"""The lock of a run folder: one run at a time writes there."""

from __future__ import annotations

import fcntl
import logging
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from rltf.runs.files import LOCK_FILE
from rltf.runs.folder import FolderRefused

log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from writing the folder inside the block. The kernel ends the lock with the process,
    however it ends; processes that it starts do not inherit it.

    Raises:
        FolderRefused: another process holds the lock; the sentence says which.
    """
    file = _take(folder / LOCK_FILE)
    try:
        file.truncate(0)
        file.write(_present_holder())
        file.flush()
        yield
    finally:
        (folder / LOCK_FILE).unlink(missing_ok=True)  # while it is held: who opened it meanwhile looks again
        file.close()


def _take(path: Path) -> IO[str]:
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                file.seek(0)
                holder = file.read() or "another process"
            raise FolderRefused(f"{path.parent} is being written by {holder}: wait for its end, or stop it") from None
        except OSError as error:  # some network file systems have no locks
            log.warning("%s cannot be locked (%s): do not start two runs there", path.parent, error.strerror)
            return file
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # its holder deleted it between our two calls


def _present_holder() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {platform.node()}{f' (SLURM job {job})' if job else ''}, since {since}"
