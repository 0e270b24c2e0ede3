"""A decode step as one launch: on CUDA a step of hundreds of small kernels is captured as a graph and replayed.

Graphs are made per shape of a step (`StepShape`), and shapes are rounded up so that they are few. The first step of a
shape runs kernel by kernel, which warms libraries up; the second is captured, which costs about as much again; from
then on the host does next to nothing. All graphs share one pool of memory, as they never run at the same time and leave
their results in tensors of `RowStates` and `Cache`. No step draws from torch's random generators.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Protocol

import torch

_GRAPHS = 512
"""Graphs held at most; the one not used for longest goes first."""


class Replayable(Protocol):
    """What a capture gives."""

    def replay(self) -> None:
        """Does the step that was captured once more."""


class StepRunner:
    """Runs steps kernel by kernel.

    Args:
        device: where steps run.
        limit: tokens drawn of a row at most.
    """

    captured = False
    """Whether steps must be fit for a graph: sizes rounded up, no look from the host."""

    def __init__(self, device: torch.device, limit: int) -> None:
        self.look_every = 1 if device.type == "cpu" else _rarely(limit)
        """Steps between two looks for rows that have ended: a look waits for the device."""

    def run(self, key: Hashable, step: Callable[[], None]) -> None:
        """Does one step.

        Args:
            key: steps of equal keys are the same kernels on the same memory.
            step: does it, kernel by kernel.
        """
        step()


class CudaGraphRunner(StepRunner):
    """Captures and replays them; see the module. The weights, and all that steps write to, must stay where they are."""

    captured = True

    def __init__(self, device: torch.device, limit: int) -> None:
        super().__init__(device, limit)
        self.look_every = _rarely(limit)
        self.captures = 0
        """Graphs made so far."""
        self._graphs: OrderedDict[Hashable, Replayable | None] = OrderedDict()
        self._pool: Any = None
        self._stream: Any = None

    def run(self, key: Hashable, step: Callable[[], None]) -> None:
        """See `StepRunner.run`."""
        if key not in self._graphs:
            self._graphs[key] = None
            if len(self._graphs) > _GRAPHS:
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
        """Not by `torch.cuda.graph`, which gives cached memory back to the driver at every capture. Other threads may
        use the device meanwhile, as those of NCCL do."""
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


def steps_on(device: torch.device, graphs: bool, limit: int) -> StepRunner:
    """Graphs where the device has them and the user wants them."""
    return CudaGraphRunner(device, limit) if graphs and device.type == "cuda" else StepRunner(device, limit)


def _rarely(limit: int) -> int:
    """Rows that end are stepped on for half as many steps: a hundredth or two of a response of a third of the limit."""
    return max(1, min(8, limit // 64))
