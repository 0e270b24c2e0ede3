"""Room for the large thread stacks that programs reserve and hardly use, as `threading.stack_size(1 << 29)` does.

The limit on address space counts what is reserved. Where a memory cgroup counts what is used, its hard limit is higher
than its soft one, which a program that asks for a large stack gets rid of.
"""

from __future__ import annotations

import _thread
import resource
import threading

_stack_size = _thread.stack_size
_SMALL = 8 << 20
"""Bytes of an ordinary stack."""


def install() -> None:
    """Has `threading.stack_size` make room; to be called before programs are forked."""
    _thread.stack_size = threading.stack_size = stack_size


def stack_size(size: int = 0, /) -> int:
    """Return the thread stack size used when creating new threads.

    The optional size argument specifies the stack size (in bytes) to be used for new threads.
    """
    previous = _stack_size(size)
    if size > _SMALL:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    return previous
