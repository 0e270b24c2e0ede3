"""Semaphores for `multiprocessing` on hosts that give a sandbox no `/dev/shm` of its own.

Named semaphores and shared arrays live in the host's `/dev/shm`, which a program must neither see nor fill. In their
place: an event counter that forked processes inherit, and files in the program's scratch folder.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import Any

_RECURSIVE = 0


def install() -> None:
    """Makes `multiprocessing` use these semaphores; to be called before programs are forked."""
    import _multiprocessing  # type: ignore[import-not-found]
    import multiprocessing.heap

    _multiprocessing.SemLock = SemLock
    multiprocessing.heap.Arena._dir_candidates = []  # type: ignore[attr-defined]


class SemLock:
    """A semaphore with the methods of `_multiprocessing.SemLock`, over an eventfd."""

    SEM_VALUE_MAX = 32767

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        self.kind, self.maxvalue, self.name = kind, maxvalue, None if unlink else name
        self.handle = os.eventfd(value, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._acquired = 0
        self._thread = 0

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Decrements it; False when that is not possible at once or within `timeout` seconds."""
        if self.kind == _RECURSIVE and self._is_mine():
            self._acquired += 1
            return True
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                os.eventfd_read(self.handle)
                break
            except BlockingIOError:
                remaining = None if end is None else end - time.monotonic()
                if not block or (remaining is not None and remaining <= 0):
                    return False
                self._wait(remaining)
        self._acquired += 1
        self._thread = threading.get_ident()
        return True

    def release(self) -> None:
        """Increments it."""
        if self.kind == _RECURSIVE:
            if not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self._acquired > 1:
                self._acquired -= 1
                return
        elif self.maxvalue == 1 and not self._is_zero():
            raise ValueError("semaphore or lock released too many times")
        self._acquired -= 1
        os.eventfd_write(self.handle, 1)

    def _wait(self, seconds: float | None) -> bool:
        poll = select.poll()
        poll.register(self.handle, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))

    def _count(self) -> int:
        return self._acquired

    def _is_mine(self) -> bool:
        return self._acquired > 0 and self._thread == threading.get_ident()

    def _is_zero(self) -> bool:
        return not self._wait(0)

    def _get_value(self) -> int:
        value = 0
        try:
            while True:
                os.eventfd_read(self.handle)
                value += 1
        except BlockingIOError:
            if value:
                os.eventfd_write(self.handle, value)
        return value

    def _after_fork(self) -> None:
        self._acquired = 0

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: Any) -> None:
        self.release()

    def __del__(self) -> None:
        os.close(self.handle)
