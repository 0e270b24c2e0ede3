"""Programs judged on every machine of a Ray cluster: one actor a node, which owns a pool.

Jobs wait here and go out in small batches, a few at a time to each node, so that a slow node holds up little. Verdicts
stream back one by one. Judging is idempotent: what a lost node or actor still owed is given to others, and a verdict
that comes a second time is dropped. Nodes that join are used, lost actors are replaced.
"""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Self

from rltf.execution.cluster.node import FEEDERS, Node, Pool, import_ray
from rltf.execution.executor import in_order
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.local import LocalExecutor
from rltf.execution.option_ranges import check_options
from rltf.execution.pool.pending import PendingJob, PendingJobs, resolve
from rltf.types import Job, Verdict

_TRIES = 20
"""A job whose node is lost under it is given out so many times."""
_LOOK = 1.0
"""Seconds between looks at the cluster."""


class RayExecutor:
    """Judges programs on all nodes of a Ray cluster; `rltf` must be installed on each.

    Args:
        address: The cluster's, as `ray.init` takes it: `auto` is the one that this machine belongs to, `local` a new
            one of this machine alone. Without meaning where Ray is initialised already.
        workers: Programs judged at the same time on this machine; None: twice its cores.
        node_workers: The same for every other node.
        start_seconds: How long to wait for the first node that judges.
        **options: Everything else that `LocalExecutor` takes, for every node.

    Raises:
        ValueError: Ray is not installed or not to be reached, or a node's pool refuses its options.
    """

    def __init__(
        self,
        address: str = "auto",
        workers: int | None = None,
        node_workers: int | None = None,
        start_seconds: float = 120.0,
        timeout: float = 4.0,
        memory_mb: int = 512,
        **options: Any,
    ) -> None:
        self._ray = import_ray()
        self._options = {**options, "timeout": timeout, "memory_mb": memory_mb}
        _check(self._options, workers=workers, node_workers=node_workers)
        self._workers, self._node_workers = workers, node_workers
        self._lock = threading.RLock()
        self._more = threading.Condition(self._lock)
        self._desk = PendingJobs(float(timeout), int(memory_mb))
        self._queue: deque[PendingJob] = deque()
        self._tries: dict[int, int] = {}
        self._refs: dict[int, Any] = {}
        self._nodes: dict[str, Node] = {}
        self._closed = False
        self._failure = ""
        """Why no job can be judged any more."""
        self._refused = ""
        self._owns_ray = not self._ray.is_initialized()
        if self._owns_ray:
            self._connect(address)
        self._here = self._ray.get_runtime_context().get_node_id()
        self._keeper = threading.Thread(target=self._keep, name="rltf-ray", daemon=True)
        self._keeper.start()
        self._wait_for_a_node(start_seconds)

    def _connect(self, address: str) -> None:
        own = {"include_dashboard": False} if address == "local" else {}
        try:
            self._ray.init(address=address, log_to_driver=False, **own)
        except ConnectionError as e:
            raise ValueError(f"executor.address is {address!r}: no Ray cluster answers there ({e})") from None

    def _wait_for_a_node(self, seconds: float) -> None:
        with self._more:
            self._more.wait_for(lambda: self._refused or self._failure or self._ready(), seconds)
            found = bool(self._ready())
        if not found:
            self.close()
            late = f"executor=ray: no node of the cluster had a pool after {seconds:g} s"
            raise ValueError(self._refused or self._failure or late)

    def _ready(self) -> list[Node]:
        return [node for node in self._nodes.values() if node.report]

    # ------------------------------------------------------------------------------------------------ jobs in

    def submit(self, job: Job) -> Future[Verdict]:
        """Starts judging; returns at once.

        Raises:
            ValueError: The job has no tests, a test holds a value that is no plain value, or a limit makes no sense.
            RuntimeError: The executor is closed, or has failed.
        """
        with self._more:
            if self._closed or self._failure:
                raise RuntimeError(self._failure or "the executor is closed")
            future, ticket, new = self._desk.enter(job)
            if new is not None:
                self._refs[new[0]] = self._ray.put(job.tests)
            if ticket is not None:
                self._queue.append(ticket)
                self._more.notify_all()
        return future

    def map(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Verdicts in the order of `jobs`, as they come; takes jobs as they are needed."""
        return in_order(self.submit, jobs, self._ahead)

    def _ahead(self) -> int:
        return 64 + sum(2 * FEEDERS * node.batch for node in self._ready())

    def report(self) -> dict[str, str]:
        """Isolation layer -> `active` when it is on every node, else what the worst one says of it."""
        with self._lock:
            reports = [node.report for node in self._ready()]
        return worst(reports)

    # ------------------------------------------------------------------------------------------------ the cluster

    def _keep(self) -> None:
        """Has an actor on every living node; whatever ends this thread, nobody is left waiting."""
        try:
            self._keep_nodes()
        except Exception as e:
            self.fail("the thread that looks after its nodes", e)

    def _keep_nodes(self) -> None:
        while not self._closed and not self._failure:
            alive = {row["NodeID"] for row in self._ray.nodes() if row["Alive"]}
            with self._lock:
                missing = alive - set(self._nodes)
                if not self._closed:
                    for name in missing:
                        self._nodes[name] = Node(self, self._ray, name)
            with self._more:
                self._more.wait_for(lambda: self._closed, _LOOK)

    def hire(self, node: str) -> Any:
        """An actor on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        workers = self._workers if node == self._here else self._node_workers
        place = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        kind = self._ray.remote(num_cpus=0, max_concurrency=FEEDERS + 1)(Pool)
        return kind.options(scheduling_strategy=place).remote({**self._options, "workers": workers})

    def take(self, node: Node) -> list[tuple[int, Any, int, Any]]:
        """The next batch for a node, as `Pool.judge` takes it; empty when the node is no longer wanted."""
        with self._more:
            self._more.wait_for(lambda: self._queue or self._closed or self._failure or node.lost)
            if self._closed or self._failure or node.lost:
                return []
            share = -(-len(self._queue) // (2 * FEEDERS * max(1, len(self._nodes))))
            tickets = [self._queue.popleft() for _ in range(max(1, min(share, node.batch)))]
            return [(t.number, replace(t.job, tests=()), t.tests, self._refs[t.tests]) for t in tickets]

    def give(self, number: int, answer: Verdict | Exception) -> None:
        """A verdict that came, or the reason why none will; of two for the same job the second is dropped."""
        with self._lock:
            futures, forgotten = self._desk.complete(number, answer)
            self._tries.pop(number, None)
            if forgotten is not None:
                self._refs.pop(forgotten, None)
        resolve(futures, answer)

    def take_back(self, numbers: Iterable[int], why: str) -> None:
        """Jobs whose node was lost go to the front of the queue."""
        failed: list[int] = []
        with self._more:
            owed = set(numbers)
            for ticket in [t for t in self._desk.tickets() if t.number in owed]:
                self._tries[ticket.number] = self._tries.get(ticket.number, 0) + 1
                if self._tries[ticket.number] < _TRIES:
                    self._queue.appendleft(ticket)
                else:
                    failed.append(ticket.number)
            self._more.notify_all()
        for number in failed:
            self.give(number, RuntimeError(f"no node could judge this program: {why}"))

    def fail(self, thread: str, error: Exception) -> None:
        """One of the threads has ended: everybody who waits is told, and no further job is taken."""
        why = f"the executor ended: {type(error).__name__} in {thread} ({error})"
        with self._more:
            if self._closed:
                return
            self._failure = self._failure or why
            futures = self._desk.empty()
            self._more.notify_all()
        for future in futures:
            resolve([future], RuntimeError(why))

    def dismiss(self, node: Node, refused: str = "") -> None:
        """A node or its actor is lost; the keeper hires anew where the node still lives."""
        with self._more:
            self._refused = self._refused or refused
            if self._nodes.get(node.name) is node:
                del self._nodes[node.name]
            self._more.notify_all()

    def greet(self, node: Node, report: dict[str, str], workers: int) -> None:
        """A node's pool is up."""
        with self._more:
            node.report, node.batch = report, max(1, workers // 2)
            self._more.notify_all()

    # ------------------------------------------------------------------------------------------------ the end

    def close(self) -> None:
        """Ends the actors with their pools; pending futures are cancelled. A cluster of others is left running."""
        with self._more:
            if self._closed:
                return
            self._closed = True
            futures, nodes = self._desk.empty(), list(self._nodes.values())
            self._more.notify_all()
        for node in nodes:
            node.end()
        self._keeper.join(10)
        self._refs.clear()
        if self._owns_ray:
            self._ray.shutdown()
        for future in futures:
            future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def worst(reports: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Of every layer the worst state among several reports.

    >>> worst([{"files": "active", "pids": "absent: x"}, {"files": "degraded: y", "pids": "active"}])
    {'files': 'degraded: y', 'pids': 'absent: x'}
    """
    found: dict[str, str] = {}
    for report in reports:
        for layer, state in report.items():
            found[layer] = max(found.get(layer, "active"), state, key=_badness)
    return found


def _badness(state: str) -> int:
    return ("active", "degraded", "absent").index(state.partition(":")[0])


def _check(options: Mapping[str, Any], **workers: int | None) -> None:
    known = inspect.signature(LocalExecutor).parameters
    for key in options:
        if key not in known:
            raise ValueError(f"executor.{key} is no option: expected some of {', '.join(known)}")
    numbers = {
        key: options.get(key, known[key].default)
        for key in known
        if isinstance(known[key].default, (int, float)) and not isinstance(known[key].default, bool)
    }
    check_options(
        numbers | {key: value for key, value in workers.items() if value is not None}, options.get("require", ())
    )
    if options.get("errors") is not None:
        ErrorTable(options["errors"])
