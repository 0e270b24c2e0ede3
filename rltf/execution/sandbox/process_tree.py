"""Finds and kills the processes below one process, where no PID namespace does it in one call."""

from __future__ import annotations

import os
import signal


def descendants(pid: int) -> list[int]:
    """Process ids below `pid`, parents first."""
    pids = [pid]
    for parent in pids:
        pids += children(parent)
    return pids[1:]


def kill_descendants(pid: int) -> int:
    """Stops, then kills, everything below `pid` until nothing new turns up; returns how many were killed."""
    killed: set[int] = set()
    while alive := [p for p in descendants(pid) if p not in killed]:
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none can fork while others die
            for descendant in alive:
                try:
                    os.kill(descendant, number)
                except OSError:
                    continue
        killed.update(alive)
    return len(killed)


def children(pid: int) -> list[int]:
    """Process ids whose parent is `pid`."""
    pids: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                pids += [int(word) for word in file.read().split()]
    except OSError:
        pass
    return pids
