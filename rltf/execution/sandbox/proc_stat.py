"""Facts of a process from `/proc`: time on and without a core, state, first child."""

from __future__ import annotations


def core_seconds(pid: int) -> float:
    """Seconds that a process has run on a core; 0 when it is gone."""
    return _schedstat(pid, 0) or 0.0


def seconds_without_core(pid: int) -> float | None:
    """Seconds that a process was ready to run but had no core; None when it is gone."""
    return _schedstat(pid, 1)


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


def _schedstat(pid: int, column: int) -> float | None:
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[column]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
