"""Programs judged on every machine of a Ray cluster: one actor a node, which owns a pool.

Jobs wait in one queue and go out in small batches, a few at a time to each node, so that a slow node holds up little.
Verdicts stream back one by one. Judging is idempotent: what a lost node or actor had not answered is given to others,
and a second verdict on the same job is dropped. Nodes that join are used, lost actors are replaced.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Self

from rltf.execution.cluster.dispatch import FEEDERS, Dispatcher
from rltf.execution.cluster.node import NodeActor, NodeFeeder
from rltf.execution.executor import check_options, in_order
from rltf.execution.judge.error_table import ErrorTable
from rltf.execution.local import LocalExecutor
from rltf.types import Job, Verdict
from rltf.validation import OptionError, import_extra, require

_LOOK_SECONDS = 1.0
"""Seconds between two looks at the nodes of the cluster."""


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
        self._ray = import_extra("ray", "executor=ray")
        self._options = {**options, "timeout": timeout, "memory_mb": memory_mb}
        _check({**self._options, "workers": workers, "node_workers": node_workers})
        require("start_seconds", start_seconds, above=0)
        self._workers, self._node_workers = workers, node_workers
        self._dispatcher = Dispatcher(self._ray, float(timeout), int(memory_mb))
        self._nodes: dict[str, NodeFeeder] = {}
        self._owns_ray = not self._ray.is_initialized()
        if self._owns_ray:
            self._connect(address)
        self._local_node = self._ray.get_runtime_context().get_node_id()
        self._keeper = threading.Thread(target=self._keep, name="rltf-ray", daemon=True)
        self._keeper.start()
        if problem := self._dispatcher.wait_for_node(start_seconds):
            self.close()
            raise ValueError(problem)

    def _connect(self, address: str) -> None:
        options = {"include_dashboard": False} if address == "local" else {}
        try:
            self._ray.init(address=address, log_to_driver=False, **options)
        except ConnectionError as e:
            raise OptionError("address", address, f"a Ray cluster that answers ({e})") from None

    def submit(self, job: Job) -> Future[Verdict]:
        """Starts judging; returns at once.

        Raises:
            ValueError: The job has no tests, a test holds a value that is no plain value, or a limit makes no sense.
            RuntimeError: The executor is closed, or has failed.
        """
        return self._dispatcher.submit(job)

    def map(self, jobs: Iterable[Job]) -> Iterator[Verdict]:
        """Verdicts in the order of `jobs`, as they come; takes jobs as they are needed."""
        return in_order(self.submit, jobs, self._max_open_jobs)

    def _max_open_jobs(self) -> int:
        return 64 + sum(2 * FEEDERS * node.batch_size for node in self._dispatcher.ready_nodes())

    def report(self) -> dict[str, str]:
        """Isolation layer -> `active` when it is active on every node, else its worst state on any node."""
        return worst_states(node.report for node in self._dispatcher.ready_nodes())

    def _keep(self) -> None:
        """The thread that keeps an actor on every living node; when it ends by a fault, all open jobs fail."""
        try:
            while not self._dispatcher.stopped:
                alive = {row["NodeID"] for row in self._ray.nodes() if row["Alive"]}
                for state in self._dispatcher.add_nodes(alive):
                    self._nodes[state.name] = NodeFeeder(
                        self._dispatcher, state, self._ray, self._start_actor(state.name)
                    )
                self._dispatcher.wait_until_closed(_LOOK_SECONDS)
        except Exception as e:
            self._dispatcher.fail("the thread that looks after its nodes", e)

    def _start_actor(self, node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        workers = self._workers if node == self._local_node else self._node_workers
        strategy = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
        actor_class = self._ray.remote(num_cpus=0, max_concurrency=FEEDERS + 1)(NodeActor)
        return actor_class.options(scheduling_strategy=strategy).remote({**self._options, "workers": workers})

    def close(self) -> None:
        """Ends the actors with their pools; pending futures are cancelled. A cluster of others is left running."""
        if self._dispatcher.closed:
            return
        futures = self._dispatcher.close()
        self._keeper.join(10)
        for node in self._nodes.values():
            if not node.state.lost:
                node.close()
        if self._owns_ray:
            self._ray.shutdown()
        for future in futures:
            future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def worst_states(reports: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Of every layer the worst state among several reports.

    >>> worst_states([{"files": "active", "pids": "absent: x"}, {"files": "degraded: y", "pids": "active"}])
    {'files': 'degraded: y', 'pids': 'absent: x'}
    """
    states: dict[str, str] = {}
    for report in reports:
        for layer, state in report.items():
            states[layer] = max(states.get(layer, "active"), state, key=_severity)
    return states


def _severity(state: str) -> int:
    return ("active", "degraded", "absent").index(state.partition(":")[0])


def _check(options: Mapping[str, Any]) -> None:
    """Checks the options of the nodes' pools here, before any node starts one."""
    names = inspect.signature(LocalExecutor).parameters.keys() | {"node_workers"}
    for key, value in options.items():
        if key not in names:
            raise OptionError(key, value, f"no such option, but {', '.join(sorted(names))}")
    check_options(options)
    ErrorTable.paper(options.get("errors"))
