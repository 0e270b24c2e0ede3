"""The order of training problems of several benchmarks, of which each has its share (`benchmark=a+b`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rltf.rollouts.problem_order import ProblemOrder


class WeightedOrder:
    """Endless order of this rank's problems of several parts: at every point each part has had its share of the visits,
    to within one visit, and goes through its own problems as `ProblemOrder` does.

    Args:
        parts: (number of training problems, weight) of each part, in the order of the problems.
        seed: seed of the shares of the ranks and of every shuffle.
        rank: index of this process.
        world_size: number of processes.

    Example:
        >>> order = WeightedOrder([(2, 1.0), (4, 3.0)], seed=0)
        >>> sum(index < 2 for index in order.next_indices(4)), sum(index < 2 for index in order.next_indices(4))
        (1, 1)
    """

    def __init__(self, parts: Sequence[tuple[int, float]], seed: int, rank: int = 0, world_size: int = 1) -> None:
        total = sum(weight for _, weight in parts)
        assert total > 0, f"weights {parts}"
        self._shares = [weight / total for _, weight in parts]
        self._starts = [sum(count for count, _ in parts[:number]) for number in range(len(parts))]
        self._orders = [ProblemOrder(count, seed, rank, world_size) if weight else None for count, weight in parts]
        self._visits = [0] * len(parts)

    def __len__(self) -> int:
        """Number of this rank's problems, those of parts with weight 0 left out."""
        return sum(len(order) for order in self._orders if order is not None)

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Changes nothing: the shares are the same in every iteration."""

    def next_indices(self, n: int) -> list[int]:
        """The next `n` problem indices; those of a part are all different unless its share of `n` exceeds the number of
        its problems on this rank."""
        counts = [0] * len(self._orders)
        parts = []
        for _ in range(n):
            number = self._next_part()
            self._visits[number] += 1
            counts[number] += 1
            parts.append(number)
        drawn = [
            iter(order.next_indices(count)) if order is not None else iter(())
            for order, count in zip(self._orders, counts, strict=True)
        ]
        return [self._starts[number] + next(drawn[number]) for number in parts]

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        orders = [None if order is None else order.state_dict() for order in self._orders]
        return {"shares": list(self._shares), "visits": list(self._visits), "orders": orders}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned.

        Raises:
            ValueError: when the checkpoint is of other weights, numbers of problems, seed, rank or world size.
        """
        if state.get("shares") != self._shares:
            raise ValueError(f"checkpoint's problem order has shares {state.get('shares')}, expected {self._shares}")
        self._visits = list(state["visits"])
        for order, saved in zip(self._orders, state["orders"], strict=True):
            if order is not None:
                order.load_state_dict(saved)

    def _next_part(self) -> int:
        """The part that lacks most of its share; of several the first."""
        visits = sum(self._visits) + 1
        lacks = [share * visits - had for share, had in zip(self._shares, self._visits, strict=True)]
        return max(range(len(lacks)), key=lacks.__getitem__)
