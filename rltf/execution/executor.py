"""The interface of executors: jobs in, verdicts out. The rest of `rltf` knows nothing else of `execution`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Protocol, Self

from rltf.execution.isolation import LAYERS
from rltf.execution.sandbox.limits import LARGEST, require_limit
from rltf.types import Job, Verdict
from rltf.validation import OptionError


class Executor(Protocol):
    """Judges programs in parallel, outside this process. Thread-safe; a context manager that closes itself."""

    def submit(self, job: Job) -> Future[Verdict]:
        """Starts judging; returns at once. The future never raises for anything a program does."""
        ...

    def map(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Verdicts in the order of `jobs`, as they come."""
        ...

    def report(self) -> dict[str, str]:
        """Isolation layer -> `active`, `degraded: why` or `absent: why`, probed by effect."""
        ...

    def close(self) -> None:
        """Kills what runs, reaps every process; pending futures are cancelled. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def in_order(
    submit: Callable[[Job], Future[Verdict]], jobs: Iterable[Job], max_open: Callable[[], int]
) -> Iterator[Verdict]:
    """Verdicts in the order of `jobs`, which are read as they are needed: fewer than `max_open()` are open."""
    futures: deque[Future[Verdict]] = deque()
    for job in jobs:
        futures.append(submit(job))
        while len(futures) >= max_open():
            yield futures.popleft().result()
    while futures:
        yield futures.popleft().result()


def check_options(options: Mapping[str, Any]) -> None:
    """Checks those of a pool's options that have a range.

    Raises:
        OptionError: One of them makes no sense.
    """
    for key in LARGEST.keys() & options.keys():
        if options[key] is not None or key not in ("workers", "node_workers"):
            require_limit(key, options[key])
    for layer in options.get("require", ()):
        if layer not in LAYERS:
            raise OptionError("require", layer, f"some of {', '.join(LAYERS)}")
