"""A value that a second process computes while this one is busy, with imports for instance."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class ForkedValue(Generic[T]):
    """A value that a fork of this process computes. For processes that have one thread.

    Args:
        compute: returns the value, which can be pickled.

    Example:
        >>> ForkedValue(lambda: 6 * 7).result()
        42
    """

    def __init__(self, compute: Callable[[], T]) -> None:
        self._compute = compute
        context = multiprocessing.get_context("fork")
        self._receiver, sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_send, args=(self._receiver, sender, compute), daemon=True)
        self._process.start()
        sender.close()

    def result(self) -> T:
        """The value, computed here where the other process failed: so an error is raised here, too. To be called
        once."""
        try:
            value: T = self._receiver.recv()
        except (EOFError, OSError):
            value = self._compute()
        self._process.join()
        self._receiver.close()
        return value


def _send(receiver: Connection, sender: Connection, compute: Callable[[], Any]) -> None:
    receiver.close()  # or a value that nobody reads any more, since the other process was killed, would be waited with
    with contextlib.suppress(BaseException):
        sender.send(compute())
