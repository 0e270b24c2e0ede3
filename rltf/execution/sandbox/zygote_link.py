"""A running zygote as the worker reaches it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from rltf.execution.isolation.memory import MemoryGroup
from rltf.execution.sandbox.control import STOP_SIGNAL_OFFSET


@dataclass
class ZygoteLink:
    """The ways from the trusted side to a running zygote."""

    control: socket.socket
    pid: int
    """Process id of the zygote as we see it."""
    listener: int | None
    """Where forbidden calls of programs are announced; None where the kernel kills the caller instead."""
    memory: MemoryGroup | None
    """Counts the memory of all processes of a program, where there is such a group."""
    end_orphans: Callable[[], None]
    """Ends what a zygote that was lost has left running."""
    killed_for_memory: bool = False
    """The kernel took the zygote for what its program held, e.g. in sockets; the sandbox needs another."""
    descriptors: list[int] = field(init=False)
    """Those at which zygote and kernel speak of a program."""
    poll: select.poll = field(init=False)
    """Waits for these alone."""

    def __post_init__(self) -> None:
        self.descriptors = [self.control.fileno()] + ([] if self.listener is None else [self.listener])
        self.poll = select.poll()
        for fd in self.descriptors:
            self.poll.register(fd, select.POLLIN)

    def stop_program(self) -> None:
        """Has the zygote kill its program; without effect when there is none."""
        with contextlib.suppress(ProcessLookupError):  # that the zygote is lost shows at its control socket
            os.kill(self.pid, signal.SIGRTMAX - STOP_SIGNAL_OFFSET)

    def out_of_memory(self) -> bool:
        """True when the kernel ended a process of the last program, because all of them together took too much."""
        return self.memory is not None and self.memory.exceeded()
