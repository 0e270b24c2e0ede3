"""Facts of processes from `/proc`: time on and without a core, state, first child."""

from __future__ import annotations

import contextlib
import os

from rltf.execution.sandbox.process_tree import descendants

_TICKS = os.sysconf("SC_CLK_TCK")


def task_seconds(zygote: int) -> tuple[dict[int, float], float]:
    """Of each task below a process the seconds that it was ready to run without a core, by its id; and the seconds that
    all of them ran, with those of ended children and threads."""
    waiting: dict[int, float] = {}
    running = 0.0
    for pid in descendants(zygote):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for task in os.listdir(f"/proc/{pid}/task"):
                waiting[int(task)] = _schedstat(f"{pid}/task/{task}", 1) or 0.0
            with open(f"/proc/{pid}/stat") as file:
                running += sum(map(int, file.read().rpartition(")")[2].split()[11:15])) / _TICKS
    return waiting, running


def core_seconds(pid: int) -> float:
    """Seconds that a process has run on a core; 0 when it is gone."""
    return _schedstat(str(pid), 0) or 0.0


def is_ready_to_run(pid: int) -> bool:
    """True for a process that has a core or waits for one."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):
        return False


def first_child(pid: int) -> int:
    """Process id of the first child of a process without threads; 0 when there is none."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def _schedstat(task: str, column: int) -> float | None:
    try:
        with open(f"/proc/{task}/schedstat") as file:
            return int(file.read().split()[column]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
