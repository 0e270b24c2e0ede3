"""Ground-truth programs for supervised training, encoded once and drawn without replacement."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any

from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.rollouts.collate import collate_demonstrations
from rltf.rollouts.problem_order import ProblemOrder
from rltf.types import Problem, RolloutBatch

POOL_BATCHES = 16
"""Batches sorted by length together: enough for little padding, few enough to keep the order of pairs random."""


class Demonstrations:
    """(prompt, answer) pairs of the problems that have demonstrations; wrong answers among them are learned too.

    Args:
        benchmark: renders prompts and answers as text.
        policy: encodes text as tokens.
        problems: of the train split.
        max_tokens: longer answers are left out (and counted in `too_long`), never truncated: a truncated one would
            teach the policy to stop in the middle.
        seed: of the order.
        rank: this process, 0-based.
        world_size: number of processes, which share the pairs out.
    """

    def __init__(
        self,
        benchmark: Benchmark,
        policy: Policy,
        problems: Sequence[Problem],
        max_tokens: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self._policy = policy
        self.too_long = 0
        self._pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        for problem in problems:
            prompt: tuple[int, ...] | None = None
            for program in benchmark.demonstrations(problem):
                answer = policy.encode_answer(benchmark.answer(problem, program))
                if len(answer) > max_tokens:
                    self.too_long += 1
                    continue
                prompt = prompt or policy.encode_prompt(benchmark.prompt(problem))
                self._pairs.append((prompt, answer))
        self._order = ProblemOrder(len(self._pairs), seed, rank, world_size) if self._pairs else None
        self._seed = seed
        self._pool_number = 0
        self._ready_batches: deque[list[int]] = deque()

    def __len__(self) -> int:
        return len(self._pairs)

    def batch(self, size: int) -> RolloutBatch:
        """The next `size` pairs, of similar length: `POOL_BATCHES` batches of pairs are drawn at a time, sorted by
        length, and returned batch by batch in random order.

        Raises:
            ValueError: there is no demonstration.
        """
        if self._order is None:
            raise ValueError(
                "the supervised term needs demonstrations and this benchmark's train split has none that fits: "
                "choose a benchmark with reference programs, a larger generation.sampling.max_new_tokens, "
                "or set algorithm.mix.supervised=null and warmup.steps=0"
            )
        if not self._ready_batches or len(self._ready_batches[0]) != size:
            pool = sorted(self._order.next_indices(POOL_BATCHES * size), key=self._length)
            batches = [pool[i : i + size] for i in range(0, len(pool), size)]
            random.Random(f"{self._seed}/{self._pool_number}").shuffle(batches)
            self._ready_batches = deque(batches)
            self._pool_number += 1
        pairs = [self._pairs[i] for i in self._ready_batches.popleft()]
        return collate_demonstrations(pairs, self._policy.pad_id, self._policy.prompt_padding)

    def _length(self, index: int) -> tuple[int, int]:
        prompt, answer = self._pairs[index]
        return len(answer), len(prompt)

    def state_dict(self) -> dict[str, Any]:
        """Position in the order of pairs, as plain builtins."""
        order = self._order.state_dict() if self._order else {}
        return {"order": order, "pools": self._pool_number, "ready": [list(batch) for batch in self._ready_batches]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues at the position of a checkpoint."""
        if self._order and state:
            self._order.load_state_dict(state["order"])
            self._pool_number = state["pools"]
            self._ready_batches = deque(state["ready"])
