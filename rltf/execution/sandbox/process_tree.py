"""Finds and kills the processes below one process, where no PID namespace does it in one call."""

from __future__ import annotations

import os
import signal


def descendants(pid: int) -> list[int]:
    """Process ids below `pid`, parents first."""
    found = [pid]
    for one in found:
        found += children(one)
    return found[1:]


def kill_descendants(pid: int) -> int:
    """Stops, then kills, everything below `pid` until nothing new turns up; returns how many were killed."""
    killed: set[int] = set()
    while fresh := [p for p in descendants(pid) if p not in killed]:
        for which in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that none can fork while others die
            for one in fresh:
                try:
                    os.kill(one, which)
                except OSError:
                    continue
        killed.update(fresh)
    return len(killed)


def children(pid: int) -> list[int]:
    """Process ids whose parent is `pid`."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass
    return found
