"""One node of a Ray cluster: the actor that owns its pool, and the threads that feed it."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rltf.execution.local import LocalExecutor
from rltf.execution.messages import UnreadableVerdict
from rltf.types import Job, Test, Verdict

if TYPE_CHECKING:
    from rltf.execution.cluster.executor import RayExecutor

FEEDERS = 4
"""Batches under way at each node."""
_KEPT = 1024
"""Test sets that a node keeps."""


def import_ray() -> Any:
    """The package.

    Raises:
        ValueError: It is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ValueError('executor=ray needs the package ray: install it with `pip install "rltf[ray]"`') from None
    return ray


class Node:
    """One node's actor, seen from here: threads that feed it batches and take in what it streams back."""

    def __init__(self, executor: RayExecutor, ray: Any, name: str) -> None:
        self._executor = executor
        self._ray = ray
        self.name = name
        self.report: dict[str, str] = {}
        """Empty until its pool is up."""
        self.batch = 1
        self.lost = False
        self._actor = executor.hire(name)
        self._threads = [threading.Thread(target=self._start, daemon=True)]
        self._threads[0].start()

    def _start(self) -> None:
        try:
            report, workers = self._ray.get(self._actor.start.remote())
        except Exception as e:
            cause = getattr(e, "cause", None)
            self._lose(str(cause) if isinstance(cause, ValueError) else "")
            return
        self._executor.greet(self, report, workers)
        self._threads += [threading.Thread(target=self._feed, daemon=True) for _ in range(FEEDERS)]
        for thread in self._threads[1:]:
            thread.start()

    def _feed(self) -> None:
        """A thread of batches; what a node that is lost still owes goes to others."""
        try:
            while batch := self._executor.take(self):
                owed = {number for number, *_ in batch}
                try:
                    for answer in self._actor.judge.options(num_returns="streaming").remote(batch):
                        number, verdict = self._ray.get(answer)
                        self._executor.give(number, verdict)
                        owed.discard(number)
                except Exception as e:
                    self._lose()
                    self._executor.take_back(owed, str(e).partition("\n")[0])
        except Exception as e:
            self._executor.fail("a thread that feeds its nodes", e)

    def _lose(self, refused: str = "") -> None:
        self.lost = True
        self._executor.dismiss(self, refused)

    def end(self) -> None:
        """Closes the pool, then ends the actor."""
        self.lost = True
        with contextlib.suppress(Exception):  # it is gone already, or hangs: the kill reaches what is left
            self._ray.get(self._actor.close.remote(), timeout=10)
        self._ray.kill(self._actor)
        for thread in self._threads:
            thread.join(10)


class Pool:
    """The actor: one node's pool."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._tests: OrderedDict[int, tuple[Test, ...]] = OrderedDict()
        self._executor: LocalExecutor | None = None

    def start(self) -> tuple[dict[str, str], int]:
        """Makes the pool; its isolation report and how many programs it judges at the same time.

        Raises:
            ValueError: A required layer is not there.
        """
        self._executor = LocalExecutor(**self._options)
        return self._executor.report(), self._executor.workers

    def judge(self, batch: Sequence[tuple[int, Job, int, Any]]) -> Iterator[tuple[int, Verdict | Exception]]:
        """Pairs of number and verdict as they come, or of number and the reason why there is none, for a batch of
        (number, job without tests, number of its test set, that test set as a Ray reference).

        Raises:
            RuntimeError: The node's pool has failed.
        """
        assert self._executor is not None
        futures = {
            self._executor.submit(replace(job, tests=self._test_set(tests, reference))): number
            for number, job, tests, reference in batch
        }
        for future in as_completed(futures):
            error = future.exception()
            yield futures[future], error if isinstance(error, UnreadableVerdict) else future.result()

    def _test_set(self, number: int, reference: Any) -> tuple[Test, ...]:
        """Fetched once a node."""
        known = self._tests.get(number)
        if known is None:
            known = self._tests[number] = import_ray().get(reference)
            while len(self._tests) > _KEPT:
                self._tests.popitem(last=False)
        return known

    def close(self) -> None:
        """Ends the pool's processes."""
        if self._executor is not None:
            self._executor.close()
