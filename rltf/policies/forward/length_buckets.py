"""Which rows of a batch run together, so that little of what runs is padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PASS_TOKENS = {"cpu": 128, "cuda": 2048}
"""Fixed cost of a pass over the layers, Python and kernel launches, in tokens of equal cost."""


def length_buckets(lengths: Sequence[int], pass_tokens: float, split_tokens: float = 0.0) -> list[list[int]]:
    """Rows in buckets of like length, each row once, shortest first: the partition that costs least.

    A bucket costs its rows times its longest row, plus `pass_tokens`; more than one bucket cost `split_tokens` on top.

    Args:
        lengths: tokens of each row, at least one row.
        pass_tokens: fixed cost of a bucket, in tokens.
        split_tokens: fixed cost of having more than one bucket, in tokens.

    Example:
        >>> length_buckets([9, 2, 10, 2], pass_tokens=1)
        [[1, 3], [0, 2]]
        >>> length_buckets([9, 2, 10, 2], pass_tokens=1, split_tokens=100)
        [[0, 1, 2, 3]]
    """
    rows = len(lengths)
    order = np.argsort(np.asarray(lengths), kind="stable")
    sorted_R = np.asarray(lengths, dtype=np.float64)[order]
    least_cost = np.zeros(rows + 1)
    start = np.zeros(rows + 1, dtype=np.int64)
    for end in range(1, rows + 1):  # the last bucket of the first `end` rows begins at `first`
        first = np.arange(end)
        cost = least_cost[:end] + (end - first) * sorted_R[end - 1] + pass_tokens
        start[end] = cost.argmin()
        least_cost[end] = cost[start[end]]
    if least_cost[rows] + split_tokens >= rows * sorted_R[-1] + pass_tokens:
        return [list(range(rows))]
    cuts = [rows]
    while cuts[-1] > 0:
        cuts.append(int(start[cuts[-1]]))
    cuts.reverse()
    return [sorted(order[a:b].tolist()) for a, b in pairwise(cuts)]


@dataclass(slots=True)
class TokenCount:
    """Tokens that a policy has processed in training since the last `pop_efficiency`."""

    real: int = 0
    processed: int = 0
    """Padding included."""

    def add(self, real: int, processed: int) -> None:
        """Counts the tokens of one pass."""
        self.real += real
        self.processed += processed

    def pop_efficiency(self) -> float | None:
        """Real over processed tokens, None without any; both counts start again at zero."""
        efficiency = self.real / self.processed if self.processed else None
        self.real = self.processed = 0
        return efficiency
