"""The order of training problems: without replacement until all had their turn, then reshuffled."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any


class ProblemOrder:
    """Endless order of this rank's problems.

    Every rank has a fixed share of the problems, assigned by the seed, and shuffles it anew each pass. So a problem's
    history is on one rank, where the best-so-far baseline needs it.

    Args:
        count: number of problems of all ranks.
        seed: seed of the shares and of every shuffle.
        rank: index of this process.
        world_size: number of processes.

    Example:
        >>> order = ProblemOrder(count=3, seed=0)
        >>> sorted(order.next_indices(3)), sorted(order.next_indices(3))
        ([0, 1, 2], [0, 1, 2])
    """

    def __init__(self, count: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        assert 0 <= rank < world_size, f"rank {rank} of {world_size}"
        if count < world_size:
            raise ValueError(
                f"benchmark has {count} training problems for {world_size} processes, expected at least one for each"
            )
        self._identity = {"count": count, "seed": seed, "rank": rank, "world_size": world_size}
        shuffled = list(range(count))
        random.Random(f"deal/{seed}").shuffle(shuffled)
        self.share = sorted(shuffled[rank::world_size])
        """Indices of this rank's problems, rising."""
        self._passes = 0
        self._remaining: deque[int] = deque()
        """Indices to come in the present pass."""

    def __len__(self) -> int:
        """Number of this rank's problems."""
        return len(self.share)

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Does nothing: every iteration goes on where the one before ended."""

    def next_indices(self, n: int) -> list[int]:
        """The next `n` problem indices, all different unless `n` exceeds the number of this rank's problems."""
        indices: list[int] = []
        while len(indices) < n:
            if not self._remaining:
                self._reshuffle(avoid=set(indices))
            indices.append(self._remaining.popleft())
        return indices

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        return {**self._identity, "passes": self._passes, "ahead": list(self._remaining)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned.

        Raises:
            ValueError: when the checkpoint is of another number of problems, seed, rank or world size.
        """
        identity = {key: state[key] for key in self._identity}
        if identity != self._identity:
            raise ValueError(f"checkpoint's problem order is of {identity}, expected {self._identity}")
        self._passes = int(state["passes"])
        self._remaining = deque(state["ahead"])

    def _reshuffle(self, avoid: set[int]) -> None:
        """Starts a pass. Indices that the present call has returned already go last: the same problem twice in one
        iteration would draw the same programs twice."""
        order = list(self.share)
        random.Random(f"{self._identity['seed']}/{self._identity['rank']}/{self._passes}").shuffle(order)
        order.sort(key=avoid.__contains__)
        self._remaining = deque(order)
        self._passes += 1
