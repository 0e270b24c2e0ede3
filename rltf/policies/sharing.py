"""Rows that have the same prompt share what is computed from it. B rows, P distinct prompts, S prompt tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Shared:
    """The distinct prompts of a batch."""

    prompt_PS: Tensor
    """Token ids."""
    mask_PS: Tensor
    """bool, True at real tokens."""
    row_B: Tensor
    """Per row, which prompt it has."""


def distinct(prompt_BS: Tensor, prompt_mask_BS: Tensor) -> Shared | None:
    """Each prompt once; None when no two rows have the same."""
    if len(prompt_BS) < 2:
        return None
    length = prompt_BS.shape[1]
    both = torch.cat([prompt_BS.masked_fill(~prompt_mask_BS, 0), prompt_mask_BS.long()], dim=1)
    prompts, row_B = torch.unique(both, dim=0, return_inverse=True)
    if len(prompts) == len(both):
        return None
    return Shared(prompts[:, :length], prompts[:, length:].bool(), row_B)
