"""The jobs of a cluster's executor: which of them wait in the queue, which a node has, and which nodes there are."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from rltf.execution.pool.pending import PendingJob, PendingJobs, VerdictFuture, resolve
from rltf.types import Job, Verdict

FEEDERS = 4
"""Batches under way at each node."""
MAX_TRIES = 20
"""So many nodes may be lost under a job before it is given up."""

BatchRow = tuple[int, Job, int, Any]
"""Number of a job, the job without its tests, number of its test set, Ray reference to that test set."""


@dataclass(eq=False)
class NodeState:
    """A node's pool as the dispatcher knows it; changed under the dispatcher's lock."""

    name: str
    report: dict[str, str] = field(default_factory=dict)
    """Isolation layer -> state; empty until the pool is up."""
    batch_size: int = 1
    """Largest number of jobs in a batch."""
    lost: bool = False


class Dispatcher:
    """The queue between `submit` and the threads that feed the nodes. Thread-safe.

    Args:
        ray: the package.
        timeout: seconds a test, for jobs that bring no limit of their own.
        memory_mb: memory of a program, likewise.
    """

    def __init__(self, ray: Any, timeout: float, memory_mb: int) -> None:
        self._ray = ray
        self._changed = threading.Condition(threading.RLock())
        self._pending = PendingJobs(timeout, memory_mb)
        self._queue: deque[PendingJob] = deque()
        self._tries: dict[int, int] = {}
        """Job number -> nodes lost under it."""
        self._test_sets: dict[int, Any] = {}
        """Number of a test set -> Ray reference."""
        self._nodes: dict[str, NodeState] = {}
        """Name -> node, without those that are lost."""
        self._failure = ""
        """Why no job can be judged any more."""
        self._refusal = ""
        """Why a node's pool refused to start."""
        self.closed = False

    def submit(self, job: Job) -> Future[Verdict]:
        """The future verdict on a job, which is queued unless an equal one is open or was judged.

        Raises:
            ValueError: The job has no tests, a test holds a value that is no plain value, or a limit makes no sense.
            RuntimeError: The executor is closed, or has failed.
        """
        with self._changed:
            if self.closed or self._failure:
                raise RuntimeError(self._failure or "the executor is closed")
            entry = self._pending.add(job)
            if entry.new_tests:
                self._test_sets[entry.test_set] = self._ray.put(job.tests)
            if entry.new_job is not None:
                self._queue.append(entry.new_job)
                self._changed.notify_all()
        return entry.future

    def next_batch(self, node: NodeState) -> list[BatchRow]:
        """The next jobs for a node, as soon as there are any; empty when the node should be fed no longer."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self.stopped or node.lost)
            if self.stopped or node.lost:
                return []
            share = -(-len(self._queue) // (2 * FEEDERS * max(1, len(self._nodes))))
            jobs = [self._queue.popleft() for _ in range(max(1, min(share, node.batch_size)))]
            return [(j.number, replace(j.job, tests=()), j.test_set, self._test_sets[j.test_set]) for j in jobs]

    def complete(self, number: int, answer: Verdict | Exception) -> None:
        """Resolves a job's futures by its verdict, or by the reason why there is none; a second answer is dropped."""
        with self._changed:
            futures, dropped_set = self._pending.complete(number, answer)
            self._tries.pop(number, None)
            if dropped_set is not None:
                self._test_sets.pop(dropped_set, None)
        resolve(futures, answer)

    def requeue(self, numbers: Iterable[int], why: str) -> None:
        """Puts jobs whose node was lost at the front of the queue; those that lost too many nodes are given up."""
        hopeless: list[int] = []
        with self._changed:
            unanswered = set(numbers)
            for job in [j for j in self._pending.jobs() if j.number in unanswered]:
                self._tries[job.number] = self._tries.get(job.number, 0) + 1
                if self._tries[job.number] < MAX_TRIES:
                    self._queue.appendleft(job)
                else:
                    hopeless.append(job.number)
            self._changed.notify_all()
        for number in hopeless:
            self.complete(number, RuntimeError(f"no node could judge this program: {why}"))

    def add_nodes(self, names: Iterable[str]) -> list[NodeState]:
        """The states of nodes that were unknown or lost until now; none once the dispatcher is closed."""
        with self._changed:
            states = [] if self.closed else [NodeState(name) for name in set(names) - self._nodes.keys()]
            self._nodes |= {state.name: state for state in states}
        return states

    def node_ready(self, node: NodeState, report: dict[str, str], workers: int) -> None:
        """Registers that a node's pool is up, with its isolation report and the programs it judges at a time."""
        with self._changed:
            node.report, node.batch_size = report, max(1, workers // 2)
            self._changed.notify_all()

    def node_lost(self, node: NodeState, refusal: str = "") -> None:
        """Takes a node out: it, its actor or its pool is lost, the last with the `refusal` of its options."""
        with self._changed:
            node.lost = True
            self._refusal = self._refusal or refusal
            if self._nodes.get(node.name) is node:
                del self._nodes[node.name]
            self._changed.notify_all()

    def ready_nodes(self) -> list[NodeState]:
        """The nodes whose pools are up."""
        with self._changed:
            return [node for node in self._nodes.values() if node.report]

    def wait_for_node(self, seconds: float) -> str:
        """Waits for a node whose pool is up; returns why there is none, or an empty string."""
        with self._changed:
            self._changed.wait_for(lambda: self._refusal or self._failure or self.ready_nodes(), seconds)
            if self.ready_nodes():
                return ""
            late = f"executor=ray: no node of the cluster had a pool after {seconds:g} s"
            return self._refusal or self._failure or late

    def wait_until_closed(self, seconds: float) -> None:
        """Waits at most so long."""
        with self._changed:
            self._changed.wait_for(lambda: self.closed, seconds)

    @property
    def stopped(self) -> bool:
        """True when no further job is judged."""
        return self.closed or bool(self._failure)

    def fail(self, thread: str, error: Exception) -> None:
        """Fails every open job and all that are submitted later, since a thread of the executor has ended."""
        why = f"the executor ended: {type(error).__name__} in {thread} ({error})"
        with self._changed:
            if self.closed:
                return
            self._failure = self._failure or why
            futures = self._pending.clear()
            self._changed.notify_all()
        resolve(futures, RuntimeError(why))

    def close(self) -> list[VerdictFuture]:
        """Ends all waiting; returns the futures that are still open, for the caller to cancel."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()
            return self._pending.clear()
