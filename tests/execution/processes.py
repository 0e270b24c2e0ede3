"""Our own processes, for tests that look at them or end them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from rltf.execution.isolation.layers import HOST_IDS
from rltf.execution.sandbox.process_tree import children, descendants


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


def by_role(supervisor: int) -> dict[str, list[int]]:
    """Process ids of a pool. Graders are told from programs by the page of memory that they share with their worker,
    the process that compiles by its user, where we are root and each sandbox has one."""
    roles: dict[str, list[int]] = {"supervisor": [supervisor], "worker": processes("worker", supervisor)}
    roles["zygote"] = [zygote for worker in roles["worker"] for zygote in children(worker)]
    inside = [pid for zygote in roles["zygote"] for pid in descendants(zygote)]
    roles["grader"] = [pid for pid in inside if has_page(pid)]
    roles["compiler"] = [pid for pid in inside if is_compiler(pid)]
    roles["program"] = [pid for pid in inside if pid not in (*roles["grader"], *roles["compiler"])]
    return roles


def is_compiler(pid: int) -> bool:
    """True for the process that compiles programs and runs none."""
    try:
        user = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return False
    return user >= HOST_IDS and bool((user - HOST_IDS) & 8)


def has_page(pid: int) -> bool:
    """True for a process that has a grader's page of memory among its descriptors."""
    try:
        return any("memfd:page" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False
