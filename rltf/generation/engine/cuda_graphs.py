"""A decode step as one launch: on CUDA a step of hundreds of small kernels is captured as a graph and replayed.

Graphs are made per shape of a step (`StepShape`), and shapes are rounded up so that they are few. The first step of a
shape runs kernel by kernel, which warms libraries up; the second is captured, which costs about as much again; from
then on the host does almost nothing. All graphs share one pool of memory, as they never run at the same time and leave
their results in tensors of `RowStates` and `Cache`. No step draws from torch's random generators.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch
from typing_extensions import override

_MAX_GRAPHS = 512
"""Graphs held at most; the least recently used one is dropped first."""


class Replayable(Protocol):
    """A captured step."""

    def replay(self) -> None:
        """Runs the captured step again."""


class StepRunner:
    """Runs steps kernel by kernel.

    Args:
        device: where steps run.
        limit: tokens drawn of a row at most.
    """

    uses_graphs = False
    """Whether steps must be fit for a graph: sizes rounded up, and no value of a tensor read by the host."""

    def __init__(self, device: torch.device, limit: int) -> None:
        self.host_sync_interval = 1 if device.type == "cpu" else _sync_interval(limit)
        """Steps after which the host asks the device which rows have ended, and waits for the answer."""

    def run(self, key: Hashable, step: Callable[[], None]) -> None:
        """Runs one step.

        Args:
            key: steps of equal keys are the same kernels on the same memory.
            step: launches its kernels one by one.
        """
        step()


class CudaGraphRunner(StepRunner):
    """Captures steps as graphs and replays them; see the module. The weights, and all that steps write to, must stay
    where they are."""

    uses_graphs = True

    def __init__(self, device: torch.device, limit: int) -> None:
        super().__init__(device, limit)
        self.host_sync_interval = _sync_interval(limit)
        self.captures = 0
        """Graphs made so far."""
        self._graphs: OrderedDict[Hashable, Replayable | None] = OrderedDict()
        self._pool: Any = None
        self._stream: Any = None

    @override
    def run(self, key: Hashable, step: Callable[[], None]) -> None:
        if key not in self._graphs:
            self._graphs[key] = None
            if len(self._graphs) > _MAX_GRAPHS:
                self._graphs.popitem(last=False)
            step()
            return
        graph = self._graphs[key]
        if graph is None:
            graph = self._graphs[key] = self._capture(step)
            self.captures += 1
        self._graphs.move_to_end(key)
        graph.replay()

    def _capture(self, step: Callable[[], None]) -> Replayable:
        # Not by `torch.cuda.graph`, which gives cached memory back to the driver at every capture. Other threads may
        # use the device meanwhile, as those of NCCL do.
        if self._pool is None:
            self._pool, self._stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.stream(self._stream):
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            try:
                step()
            finally:
                graph.capture_end()
        return graph


def step_runner(device: torch.device, graphs: bool, limit: int) -> StepRunner:
    """The runner of a device: with graphs where it has them and the user wants them.

    Args:
        device: where steps run.
        graphs: whether the user wants graphs.
        limit: tokens drawn of a row at most.
    """
    return CudaGraphRunner(device, limit) if graphs and device.type == "cuda" else StepRunner(device, limit)


def _sync_interval(limit: int) -> int:
    """Steps between two waits for the device. A row that has ended is stepped on for half as many: a hundredth or two
    of a response of a third of the limit."""
    return max(1, min(8, limit // 64))
