"""Memory of all processes of a program together: one memory cgroup a sandbox, made and read from outside.

A limit for each process alone lets 24 processes have 24 times as much. Version 2 of cgroups where the memory controller
is delegated to us (beside or below our own group), or version 1 where its folder is writable. The zygote is moved in
when it starts; what it forks is born inside.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Self

from rltf.execution.isolation.layers import PROBE_BYTES

_PREFIX = "rltf-"
_MARGIN = 32 << 20
"""Memory that every program needs: page tables, stacks, pages that a fork copies."""


class MemoryGroup:
    """A memory cgroup for one zygote."""

    def __init__(self, folder: Path, modern: bool) -> None:
        self._folder = folder
        self._limit = folder / ("memory.max" if modern else "memory.limit_in_bytes")
        self._usage = folder / ("memory.current" if modern else "memory.usage_in_bytes")
        events = folder / ("memory.events" if modern else "memory.oom_control")
        self._events = os.open(events, os.O_RDONLY | os.O_CLOEXEC)
        self._text, self._kills = b"", 0
        self.exceeded()

    @classmethod
    def make(cls, name: str) -> Self:
        """A fresh group.

        Raises:
            OSError: There is no memory controller that we may use.
        """
        why = "no memory controller is mounted"
        for parent, modern in _parents():
            folder = parent / f"{_PREFIX}{name}"
            try:
                sweep(parent)
                _delegate(parent, modern)
                folder.mkdir()
                if not modern:
                    (folder / "memory.swappiness").write_text("0")
                return cls(folder, modern)
            except OSError as e:
                why = str(e)
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise OSError(why)

    def add(self, pid: int) -> None:
        """Moves a process in; its children will be born there.

        Raises:
            OSError: We may not.
        """
        (self._folder / "cgroup.procs").write_text(str(pid))

    def counts(self) -> bool:
        """True when the group counts the memory that a zygote has for a moment (`IsolationLayers.probe_memory`)."""
        return int(self._usage.read_text()) >= PROBE_BYTES

    def limit(self, size: int) -> None:
        """Sets the bytes that a program may use in all its processes and files together.

        Raises:
            OSError: More is in use.
        """
        self._limit.write_text(str(size + _MARGIN))

    def exceeded(self) -> bool:
        """True when the kernel has ended a process for the limit since we last asked."""
        text = os.pread(self._events, 512, 0)
        if text == self._text:
            return False
        _, key, numbers = text.partition(b"oom_kill ")
        if not key:
            raise OSError("the kernel does not count the processes it ends for memory")  # version 1 before Linux 4.13
        previous, self._kills, self._text = self._kills, int(numbers.split(None, 1)[0]), text
        return self._kills > previous

    def remove(self) -> None:
        """Deletes the group; its processes must be gone."""
        if self._events >= 0:
            os.close(self._events)
            self._events = -1
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def sweep(parent: Path | None = None) -> None:
    """Deletes empty groups of processes that have ended."""
    for folder in [parent] if parent is not None else [p for p, _ in _parents()]:
        for group in folder.glob(f"{_PREFIX}*"):
            if not Path(f"/proc/{group.name.removeprefix(_PREFIX).partition('-')[0]}").exists():
                with contextlib.suppress(OSError):
                    group.rmdir()


def _parents() -> list[tuple[Path, bool]]:
    """Groups below which ours may be made: (folder, whether version 2)."""
    parents = []
    with contextlib.suppress(OSError):
        mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            modern = not controllers
            if not modern and "memory" not in controllers.split(","):
                continue
            for row in mounts:
                kind, options = row[row.index("-") + 1], row[-1].split(",")
                if kind == ("cgroup2" if modern else "cgroup") and (modern or "memory" in options):
                    top = Path(row[4])
                    inside = path.removeprefix(row[3]) if row[3] != "/" else path
                    group = top / inside.lstrip("/")
                    parents += [(group, modern)] + ([(group.parent, True)] if modern and group != top else [])
    return parents


def _delegate(parent: Path, modern: bool) -> None:
    """Switches the controller on for the groups below, which version 2 needs and refuses where processes are inside."""
    if modern and "memory" not in (parent / "cgroup.subtree_control").read_text().split():
        (parent / "cgroup.subtree_control").write_text("+memory")
