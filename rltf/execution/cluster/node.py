"""One node of a Ray cluster: the actor that owns its pool, and the threads that feed it."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from typing import Any

from rltf.execution.cluster.dispatch import FEEDERS, BatchRow, Dispatcher, NodeState
from rltf.execution.local import LocalExecutor
from rltf.execution.messages import UnreadableVerdict
from rltf.types import Test, Verdict
from rltf.validation import import_extra

_MAX_TEST_SETS = 1024
"""Test sets that a node remembers."""


class NodeFeeder:
    """A node's actor, seen from the trainer: threads that feed it batches and pass on the verdicts it streams back.

    Args:
        dispatcher: where jobs come from and verdicts go.
        state: the dispatcher's record of this node.
        ray: the package.
        actor: handle of the node's `NodeActor`.
    """

    def __init__(self, dispatcher: Dispatcher, state: NodeState, ray: Any, actor: Any) -> None:
        self._dispatcher = dispatcher
        self.state = state
        self._ray = ray
        self._actor = actor
        self._threads = [threading.Thread(target=self._start, daemon=True)]
        self._threads[0].start()

    def _start(self) -> None:
        """The first thread: starts the node's pool, then the threads that feed it."""
        try:
            report, workers = self._ray.get(self._actor.start.remote())
        except Exception as e:
            cause = getattr(e, "cause", None)
            self._dispatcher.node_lost(self.state, str(cause) if isinstance(cause, ValueError) else "")
            return
        self._dispatcher.node_ready(self.state, report, workers)
        self._threads += [threading.Thread(target=self._feed, daemon=True) for _ in range(FEEDERS)]
        for thread in self._threads[1:]:
            thread.start()

    def _feed(self) -> None:
        """A thread that has one batch after another judged; what a lost node has not answered goes to others."""
        try:
            while batch := self._dispatcher.next_batch(self.state):
                unanswered = {number for number, *_ in batch}
                try:
                    for answer in self._actor.judge.options(num_returns="streaming").remote(batch):
                        number, verdict = self._ray.get(answer)
                        self._dispatcher.complete(number, verdict)
                        unanswered.discard(number)
                except Exception as e:
                    self._dispatcher.node_lost(self.state)
                    self._dispatcher.requeue(unanswered, str(e).partition("\n")[0])
        except Exception as e:
            self._dispatcher.fail("a thread that feeds its nodes", e)

    def close(self) -> None:
        """Closes the pool, then ends the actor."""
        self._dispatcher.node_lost(self.state)
        with contextlib.suppress(Exception):  # it is gone already, or hangs: the kill reaches what is left
            self._ray.get(self._actor.close.remote(), timeout=10)
        self._ray.kill(self._actor)
        for thread in self._threads:
            thread.join(10)


class NodeActor:
    """The actor: one node's pool."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._test_sets: OrderedDict[int, tuple[Test, ...]] = OrderedDict()
        self._executor: LocalExecutor | None = None

    def start(self) -> tuple[dict[str, str], int]:
        """Makes the pool; returns its isolation report and how many programs it judges at the same time.

        Raises:
            ValueError: A required layer is not there.
        """
        self._executor = LocalExecutor(**self._options)
        return self._executor.report(), self._executor.workers

    def judge(self, batch: Sequence[BatchRow]) -> Iterator[tuple[int, Verdict | Exception]]:
        """Pairs of job number and verdict as they come, or of number and the reason why there is no verdict.

        Raises:
            RuntimeError: The node's pool has failed.
        """
        assert self._executor is not None
        numbers = {
            self._executor.submit(replace(job, tests=self._tests(test_set, reference))): number
            for number, job, test_set, reference in batch
        }
        for future in as_completed(numbers):
            error = future.exception()
            yield numbers[future], error if isinstance(error, UnreadableVerdict) else future.result()

    def _tests(self, test_set: int, reference: Any) -> tuple[Test, ...]:
        """The tests of a set, which is fetched once a node."""
        tests = self._test_sets.get(test_set)
        if tests is None:
            tests = self._test_sets[test_set] = import_extra("ray", "executor=ray").get(reference)
            while len(self._test_sets) > _MAX_TEST_SETS:
                self._test_sets.popitem(last=False)
        return tests

    def close(self) -> None:
        """Ends the pool's processes."""
        if self._executor is not None:
            self._executor.close()
