"""Says which limit of the host (`ulimit -H`) is too low for what a program may use."""

from __future__ import annotations

import math
import resource

from rltf.execution.isolation.rlimits import at_most
from rltf.validation import OptionError

_INTERPRETER_MB = 320
"""Address space of an interpreter with numpy, in which a program's own comes on top."""
_DESCRIPTORS = 16
"""Open files of the process that hands jobs to workers, beside one for each worker."""


def require_host_limits(timeout: float, memory_mb: int, workers: int = 1) -> None:
    """Checks that the host allows what a job or a pool is given.

    Raises:
        OptionError: A limit of the host is too low for it; the text says which.
    """
    for which, name in ((resource.RLIMIT_AS, "address space (ulimit -v)"), (resource.RLIMIT_DATA, "data (ulimit -d)")):
        room = at_most(which, 1 << 62) // (1 << 20) - _INTERPRETER_MB
        if memory_mb > room:
            raise OptionError("memory_mb", memory_mb, f"at most {max(room, 0)}, as this host limits {name}")
    seconds = at_most(resource.RLIMIT_CPU, 1 << 62)
    if math.ceil(timeout) + 1 > seconds:
        raise OptionError("timeout", timeout, f"at most {seconds - 1}, as this host limits processor time (ulimit -t)")
    files = at_most(resource.RLIMIT_NOFILE, 1 << 62)
    if workers + _DESCRIPTORS > files:
        most = max(files - _DESCRIPTORS, 0)
        raise OptionError("workers", workers, f"at most {most}, as this host limits open files (ulimit -n)")
