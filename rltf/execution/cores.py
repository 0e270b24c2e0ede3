"""One plan for the machine's cores: torch and the sandbox must not fight for the same ones. Two busy torch threads
beside test processes on two cores cost a factor of eight (OpenMP waits)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Self

COMPUTING = ("warmup", "generation", "training", "critic")
"""Phases of a run (`rltf.rollouts.clock`) in which torch is not to be disturbed."""


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class CorePlan:
    """How the cores are shared between torch and the sandbox."""

    threads: int
    """Threads that torch computes with."""
    workers: int
    """Programs judged at the same time; two for each core of the sandbox, since some only sleep."""

    @classmethod
    def of(cls, cores: int, workers: int | None = None) -> Self:
        """Half of the cores for the sandbox unless `workers` says otherwise; at least one thread and one worker.

        Example:
            >>> CorePlan.of(cores=2)
            CorePlan(threads=1, workers=2)
            >>> CorePlan.of(cores=16, workers=4)
            CorePlan(threads=12, workers=4)
        """
        if workers is not None:
            return cls(max(1, cores - workers), workers)
        sandbox = max(1, cores // 2)
        return cls(max(1, cores - sandbox), 2 * sandbox)


class CorePinning:
    """Keeps the sandbox off torch's cores while torch computes, and lets it use all of them while the run waits for
    verdicts. Left to the scheduler, every forked program takes about a millisecond from torch where cores are few.

    Only one run of a machine pins: others, which would crowd the same cores, leave placement to the scheduler.

    Args:
        use_cores: moves the processes of the sandbox.
        threads: threads of torch.
        lock: file that a run locks while it pins; None: the user's, on this machine.
    """

    def __init__(self, use_cores: Callable[[Collection[int]], None], threads: int, lock: Path | None = None) -> None:
        self._use_cores, self._all = use_cores, sorted(os.sched_getaffinity(0))
        self._sandbox = self._all[threads:]
        self._pinned = False
        self._path = lock or Path(tempfile.gettempdir()) / f"rltf-cores-{os.getuid()}"
        self._lock: int | None = None

    def __call__(self, phase: str) -> None:
        """A phase of the run begins."""
        pin = phase in COMPUTING
        if self._lock is None and pin and self._sandbox:
            self._lock = _claim(self._path)
        if self._lock is not None and pin != self._pinned:
            self._use_cores(self._sandbox if pin else self._all)
            self._pinned = pin

    def close(self) -> None:
        """Gives up the lock, so that another run may pin."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _claim(path: Path) -> int | None:
    """A descriptor that locks the file until it is closed; None when another process has it locked."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def bind_to_cores(pid: int, cores: Collection[int]) -> None:
    """Binds a process, its threads and its descendants to cores, but for those that end meanwhile."""
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(task), cores)
                for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                    bind_to_cores(int(child), cores)
