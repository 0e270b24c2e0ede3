"""Mean pass@k over problems as a torchmetrics metric: two sums, so that uneven ranks give the number of one process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from rltf.metrics.pass_at_k import pass_at_k


class MeanPassAtK(Metric):
    """Mean pass@k over problems.

    Args:
        k: programs one may submit.

    Example:
        >>> metric = MeanPassAtK(k=1)
        >>> metric.update(programs=[10, 10], passed=[5, 0])
        >>> metric.compute()
        tensor(0.2500, dtype=torch.float64)
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False

    total: Tensor
    count: Tensor

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if k < 1:
            raise ValueError(f"k of pass@k is {k}, expected at least 1")
        self.k = k
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, programs: Iterable[int], passed: Iterable[int]) -> None:
        """Adds problems: the number of programs drawn for each, and of those that passed."""
        values = [pass_at_k(int(n), int(c), self.k) for n, c in zip(programs, passed, strict=True)]
        self.total += sum(values)
        self.count += len(values)

    def compute(self) -> Tensor:
        """float64 mean over all problems of all ranks; NaN when there are none."""
        return self.total / self.count
