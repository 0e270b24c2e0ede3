"""Ground-truth programs for supervised training, encoded once and drawn without replacement."""

from __future__ import annotations

import logging
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rltf.benchmarks.base import Benchmark
from rltf.policies.base import Policy
from rltf.rollouts.collate import collate_demonstrations
from rltf.rollouts.interfaces import NextProblems, ProblemPlan
from rltf.rollouts.problem_order import ProblemOrder
from rltf.rollouts.tasks import TaskOrder
from rltf.types import Problem, RolloutBatch

log = logging.getLogger(__name__)

POOL_BATCHES = 16
"""Batches sorted by length together: enough for little padding, few enough to keep the order of pairs random."""


MAX_CHANGED_SHARE = 0.05
"""Share of the demonstrations that may come back changed from encoding and decoding."""


class Demonstrations:
    """(prompt, answer) pairs of the problems that have demonstrations; wrong answers among them are learned too.

    An answer that does not come back from encoding and decoding is left out and counted in `changed`: a tokenizer may
    drop line ends (T5's), or compose accents (Qwen's). The policy would be taught another program than was judged.

    Args:
        benchmark: renders prompts and answers as text.
        policy: encodes text as tokens.
        problems: of the train split.
        max_tokens: longer answers are left out (and counted in `too_long`), never truncated: a truncated one would
            teach the policy to stop in the middle.
        seed: of the order.
        rank: this process, 0-based.
        world_size: number of processes, which share the pairs out.
        plan: decides their order; None: all in their turn.

    Raises:
        ValueError: the tokenizer changes more than `MAX_CHANGED_SHARE` of the answers.
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
        plan: ProblemPlan | None = None,
    ) -> None:
        self._policy = policy
        self.changed = self.too_long = 0
        self._pairs: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        problem_of_pair: list[Problem] = []
        loss = ""
        for problem in problems:
            prompt: tuple[int, ...] | None = None
            for program in benchmark.demonstrations(problem):
                text = benchmark.answer(problem, program)
                answer = policy.encode_answer(text)
                if (decoded := policy.decode(answer)[0]) != text:
                    self.changed += 1
                    loss = loss or f"{_difference(text, decoded)} in one of {problem.id}"
                elif len(answer) > max_tokens:
                    self.too_long += 1
                else:
                    prompt = prompt or policy.encode_prompt(replace(benchmark.prompt(problem), training=True))
                    self._pairs.append((prompt, answer))
                    problem_of_pair.append(problem)
        self._tell_changed(type(policy.tokenizer).__name__, loss)
        self._order: NextProblems | None = None
        if self._pairs and plan is not None:
            self._order = plan.demonstration_order(problem_of_pair, seed, rank, world_size)
        elif self._pairs:
            self._order = ProblemOrder(len(self._pairs), seed, rank, world_size)
        self._seed = seed
        self._pool_number = 0
        self._ready_batches: deque[list[int]] = deque()

    def __len__(self) -> int:
        return len(self._pairs)

    def _tell_changed(self, tokenizer: str, loss: str) -> None:
        """Warns of answers that the tokenizer changed, or refuses the tokenizer."""
        if not self.changed:
            return
        total = self.changed + self.too_long + len(self._pairs)
        counts = f"{self.changed} of {total} demonstrations come back changed from encoding and decoding: {loss}"
        if self.changed > MAX_CHANGED_SHARE * total:
            raise ValueError(
                f"model.path holds a {tokenizer} that loses text, {counts}; expected at most {MAX_CHANGED_SHARE:.0%}, "
                "as tokenizers of code models have"
            )
        log.warning("%s; they are left out of supervised training", counts)

    def require_any(self) -> NextProblems:
        """The order of the pairs.

        Raises:
            ValueError: there is none.
        """
        if self._order is None:
            raise ValueError(
                "the supervised term needs demonstrations and this benchmark's train split has none that fits: "
                "choose a benchmark with reference programs, a larger generation.sampling.max_new_tokens, "
                "or set algorithm.mix.supervised=null and warmup.steps=0"
            )
        return self._order

    def start_iteration(self, iteration: int, iterations: int) -> None:
        """Tells the order that an iteration begins (see `NextProblems`). Pairs that were drawn ahead of it are left out
        where they are of another task."""
        order = self.require_any()
        segment = order.segment if isinstance(order, TaskOrder) else None
        order.start_iteration(iteration, iterations)
        if isinstance(order, TaskOrder) and order.segment != segment:
            self._ready_batches.clear()

    def batch(self, size: int) -> RolloutBatch:
        """The next `size` pairs, of similar length: `POOL_BATCHES` batches of pairs are drawn at a time, sorted by
        length, and returned batch by batch in random order.

        Raises:
            ValueError: there is no demonstration.
        """
        pairs = [self._pairs[i] for i in self._next_indices(size)]
        return collate_demonstrations(pairs, self._policy.pad_id, self._policy.prompt_padding)

    def skip(self, batches: int, size: int) -> None:
        """Goes on in the order as after so many batches, which another run has learned from."""
        for _ in range(batches):
            self._next_indices(size)

    def _next_indices(self, size: int) -> list[int]:
        order = self.require_any()
        if not self._ready_batches or len(self._ready_batches[0]) != size:
            pool = sorted(order.next_indices(POOL_BATCHES * size), key=self._length)
            batches = [pool[i : i + size] for i in range(0, len(pool), size)]
            random.Random(f"{self._seed}/{self._pool_number}").shuffle(batches)
            self._ready_batches = deque(batches)
            self._pool_number += 1
        return self._ready_batches.popleft()

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


def _difference(text: str, decoded: str) -> str:
    r"""Where two texts begin to differ, with a few characters of each.

    >>> _difference("def f(x):\n    return x", "def f(x): return x")
    "'f(x):\\n    return ' became 'f(x): return x'"
    >>> _difference("\n# a long remark", "# a long remark")
    "'\\n# a long re' became '# a long rem'"
    """
    shorter = min(len(text), len(decoded))
    start = next((n for n in range(shorter) if text[n] != decoded[n]), shorter)
    begin = max(0, start - 5)
    return f"{text[begin : start + 12]!r} became {decoded[begin : start + 12]!r}"
