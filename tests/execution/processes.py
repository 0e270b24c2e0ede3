"""Our own processes, for tests that look at them or end them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rltf.execution.sandbox.process_tree import descendants


def eventually(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    """True as soon as `holds` does; False when it does not within the time."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def processes(kind: str, below: int | None = None) -> list[int]:
    """Process ids of a kind (`supervisor`, `worker`, `zygote`) below a process, by default below this one."""
    pids = []
    for pid in descendants(os.getpid() if below is None else below):
        try:
            if f".{kind} import main".encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                pids.append(pid)
        except OSError:
            continue
    return pids


def alive(pids: list[int]) -> list[int]:
    """Those that have not ended; a zombie has."""

    def runs(pid: int) -> bool:
        try:
            return " Z " not in Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False

    return [pid for pid in pids if runs(pid)]
