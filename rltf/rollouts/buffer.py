"""The online buffer: the newest rollouts, first in first out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from rltf.rollouts.packing import PackedRollout, from_state, to_state
from rltf.types import Rollout
from rltf.validation import require


class RolloutBuffer:
    """Bounded queue of rollouts; when it is full the oldest leave.

    Args:
        capacity: largest number of rollouts (paper: 6400).
        keep_greedy: True: also greedy programs, which serve the baseline and are not drawn from the policy's
            distribution.

    Example:
        >>> buffer = RolloutBuffer(capacity=2)
        >>> buffer.metrics(version=0)["buffer/fill"]
        0.0
    """

    def __init__(self, capacity: int = 6400, keep_greedy: bool = False) -> None:
        require("capacity", capacity, at_least=1, whole=True)
        self.capacity = capacity
        self.keep_greedy = keep_greedy
        self._rollouts: deque[PackedRollout] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._rollouts)

    def __iter__(self) -> Iterator[Rollout]:
        """Rollouts, the oldest first."""
        return (packed.unpack() for packed in self._rollouts)

    def extend(self, rollouts: Iterable[Rollout]) -> None:
        """Appends rollouts in their order; the oldest leave when the buffer is full."""
        self._rollouts.extend(PackedRollout.pack(r) for r in rollouts if self.keep_greedy or not r.program.greedy)

    def sample(self, n: int, generator: torch.Generator | int) -> list[Rollout]:
        """`n` rollouts drawn uniformly; none is drawn twice before each was drawn once.

        Args:
            n: number of rollouts.
            generator: random generator on the CPU, or a seed.

        Raises:
            ValueError: when the buffer is empty.
        """
        if not self._rollouts:
            raise ValueError("the rollout buffer is empty, expected at least one judged program before training")
        if isinstance(generator, int):
            generator = torch.Generator().manual_seed(generator)
        packed = list(self._rollouts)
        order: list[int] = []
        while len(order) < n:
            order += torch.randperm(len(packed), generator=generator).tolist()
        return [packed[i].unpack() for i in order[:n]]

    def metrics(self, version: int) -> dict[str, float]:
        """`buffer/size`, `buffer/fill`, and `buffer/age_mean` and `_max` in optimiser steps.

        Args:
            version: optimiser steps done so far.
        """
        ages = [version - packed.without_tokens.program.version for packed in self._rollouts]
        return {
            "buffer/size": float(len(ages)),
            "buffer/fill": len(ages) / self.capacity,
            "buffer/age_mean": sum(ages) / len(ages) if ages else 0.0,
            "buffer/age_max": float(max(ages, default=0)),
        }

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint: tensors and builtins that `torch.load(weights_only=True)` accepts."""
        return to_state(list(self._rollouts))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replaces the contents; a smaller capacity keeps the newest."""
        self._rollouts = deque(from_state(state), maxlen=self.capacity)
