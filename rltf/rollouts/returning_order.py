"""The order of training problems in which some come back: to be replayed or repaired, beside those that have their
turn."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from rltf.rollouts.problem_order import ProblemOrder


class Returns(Protocol):
    """Problems that wait to come back."""

    def waiting(self, n: int) -> int:
        """How many of an iteration's `n` problems may be ones that come back."""
        ...

    def choose(self, count: int, others: Sequence[str], rng: random.Random) -> list[str]:
        """Ids of at most `count` problems that are none of the `others`: they come back now."""
        ...


class ReturningOrder:
    """Problems in their turn as `ProblemOrder` has them, and a share that come back (a `NextProblems`).

    Args:
        returns: knows which problems wait.
        problem_ids: of all ranks.
        seed: of the order, and of choices.
        rank: this process, 0-based.
        world_size: number of processes.
    """

    def __init__(self, returns: Returns, problem_ids: Sequence[str], seed: int, rank: int, world_size: int) -> None:
        self._returns, self._ids = returns, problem_ids
        self._order = ProblemOrder(len(problem_ids), seed, rank, world_size)
        self._index_of = {problem_id: index for index, problem_id in enumerate(problem_ids)}
        self._stream = f"returns/{seed}/{rank}"
        self._choices = 0

    def __len__(self) -> int:
        """Number of this rank's problems."""
        return len(self._order)

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Does nothing: every iteration goes on where the one before ended."""

    def next_indices(self, n: int) -> list[int]:
        """The next `n` problem indices: problems in their turn, then those that come back."""
        count = self._returns.waiting(n)
        in_turn = self._order.next_indices(n - count)
        rng = random.Random(f"{self._stream}/{self._choices}")
        problem_ids = self._returns.choose(count, [self._ids[index] for index in in_turn], rng)
        self._choices += 1
        in_turn += self._order.next_indices(count - len(problem_ids))
        return in_turn + [self._index_of[problem_id] for problem_id in problem_ids]

    def state_dict(self) -> dict[str, Any]:
        """State for a checkpoint, in plain builtins."""
        return {"order": self._order.state_dict(), "choices": self._choices}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a state that `state_dict` returned.

        Raises:
            ValueError: it is of other problems or another seed, or of an order in which none come back.
        """
        if "order" not in state:
            raise ValueError("checkpoint's problem order is one in which no problem comes back, and this run's is not")
        self._order.load_state_dict(state["order"])
        self._choices = int(state["choices"])
