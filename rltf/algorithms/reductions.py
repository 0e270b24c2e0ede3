"""Reductions of per-token terms: their sum, and the count that it is divided by.

| name | total | count |
|---|---|---|
| `sequence_sum` | sum over all tokens | sequences (the paper's equations, averaged over programs) |
| `token_mean` | sum over all tokens | tokens (RLTF's official code, DAPO) |
| `sequence_mean` | sum over sequences of the mean over their tokens | sequences (GRPO) |

B rows, T tokens. A row without real tokens is no sequence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rltf.validation import require


@dataclass(frozen=True)
class Reduction:
    """A reduction as two functions of the mask, so that the count is known before the forward pass."""

    shares_BT: Callable[[Tensor], Tensor]
    """mask_BT -> factor of each token's term in the total."""
    count: Callable[[Tensor], Tensor]
    """mask_BT -> scalar that the total is divided by."""

    def total(self, terms_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """Weighted sum of the terms where the mask is True; terms elsewhere may be anything, even NaN."""
        return (terms_BT.masked_fill(~mask_BT, 0.0) * self.shares_BT(mask_BT)).sum()


def _tokens(mask_BT: Tensor) -> Tensor:
    return mask_BT.sum()


def _sequences(mask_BT: Tensor) -> Tensor:
    return mask_BT.any(dim=1).sum()


def _one(mask_BT: Tensor) -> Tensor:
    return torch.ones((), device=mask_BT.device)


def _inverse_length(mask_BT: Tensor) -> Tensor:
    return 1.0 / mask_BT.sum(dim=1, keepdim=True).clamp(min=1)


REDUCTIONS: dict[str, Reduction] = {
    "sequence_sum": Reduction(_one, _sequences),
    "token_mean": Reduction(_one, _tokens),
    "sequence_mean": Reduction(_inverse_length, _sequences),
}
"""`reduction` of an objective -> its two functions."""


def find_reduction(name: str) -> Reduction:
    """The reduction of that name.

    Raises:
        OptionError: for an unknown name.
    """
    require("reduction", name, choices=REDUCTIONS)
    return REDUCTIONS[name]
