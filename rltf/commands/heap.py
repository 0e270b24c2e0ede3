"""The garbage collector while a command starts and runs.

Imports make half a million objects that stay, and the collector would walk through all of them again and again: a
second of the start, and as much later. So it rests while they are made, and leaves them out afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def resting_collector() -> Iterator[None]:
    """Inside, nothing is collected; what was made there is left out of later collections."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Inside, collections leave out what was there before. Afterwards they do not: the objects of a sweep's job must go
    before the next one."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
