"""A buffer of structures: of the programs of a problem that differ by names and layout alone it holds the newest
(`buffer=distinct`, part of what arXiv 2310.13669 does to replay programs).

It is a replay buffer of structures, not of the policy's distribution: a program that the policy writes often has no
more weight than one that it wrote once. Advantages are still those of the whole group that a program was drawn in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from typing_extensions import override

from rltf.benchmarks.structure import structure_hash
from rltf.rollouts.buffer import RolloutBuffer
from rltf.rollouts.packing import PackedRollout, from_state
from rltf.types import Rollout
from rltf.validation import require

Key = tuple[str, str]
"""Problem id, structure of the program."""


class DistinctBuffer(RolloutBuffer):
    """Bounded queue of rollouts, one a structure: an equal program replaces the older one, and goes to the end.

    A program that does not parse is equal to its own text alone.

    Args:
        capacity: largest number of rollouts; when it is full the oldest leave.
        keep_greedy: True: also greedy programs.
        per_problem: largest number of rollouts of a problem, of which the oldest leaves; None: any.

    Example:
        >>> DistinctBuffer(capacity=2).metrics(version=0)["buffer/merged_share"]
        0.0
    """

    def __init__(self, capacity: int = 6400, keep_greedy: bool = False, per_problem: int | None = None) -> None:
        require("per_problem", per_problem, at_least=1, whole=True, optional=True)
        super().__init__(capacity, keep_greedy)
        self.per_problem = per_problem
        self._by_key: dict[Key, PackedRollout] = {}
        """Oldest first, as `_rollouts` has them."""
        self._added = self._merged = 0

    @override
    def extend(self, rollouts: Iterable[Rollout]) -> None:
        """Appends rollouts in their order; each takes the place of an older one with its structure."""
        self._added = self._merged = 0
        for rollout in rollouts:
            if self.keep_greedy or not rollout.program.greedy:
                self._add(_key(rollout), PackedRollout.pack(rollout))
        self._limit()

    def _add(self, key: Key, packed: PackedRollout) -> None:
        self._added += 1
        self._merged += self._by_key.pop(key, None) is not None
        self._by_key[key] = packed

    def _limit(self) -> None:
        """Has the oldest leave, of each problem and of all."""
        if self.per_problem is not None:
            counts: Counter[str] = Counter()
            for key in reversed(list(self._by_key)):
                counts[key[0]] += 1
                if counts[key[0]] > self.per_problem:
                    del self._by_key[key]
        for key in list(self._by_key)[: max(0, len(self._by_key) - self.capacity)]:
            del self._by_key[key]
        self._rollouts.clear()
        self._rollouts.extend(self._by_key.values())

    @override
    def metrics(self, version: int) -> dict[str, float]:
        """Those of `RolloutBuffer`, and `buffer/merged_share`: of the programs added last, the share that took an older
        one's place, in the same addition or from before."""
        return super().metrics(version) | {"buffer/merged_share": self._merged / self._added if self._added else 0.0}

    @override
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Replaces the contents; a smaller capacity keeps the newest."""
        self._by_key = {_key(packed.without_tokens): packed for packed in from_state(state)}
        self._added = self._merged = 0
        self._limit()


def _key(rollout: Rollout) -> Key:
    return rollout.program.problem_id, structure_hash(rollout.program.text, keep_functions=True)
