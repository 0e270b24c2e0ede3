"""Rows that have the same prompt share what is computed from it. B rows, P distinct prompts, S prompt tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Shared:
    """The distinct prompts of a batch."""

    prompt_PS: Tensor
    """Token ids, in the order in which the rows bring them."""
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
    prompts, sorted_B = torch.unique(both, dim=0, return_inverse=True)
    if len(prompts) == len(both):
        return None
    rows_B = torch.arange(len(both), device=both.device)
    first_P = rows_B.new_full((len(prompts),), len(both)).scatter_reduce(0, sorted_B, rows_B, "amin")
    order_P = first_P.argsort()
    prompts = prompts[order_P]
    return Shared(prompts[:, :length], prompts[:, length:].bool(), order_P.argsort()[sorted_B])


def spread(prompts: int, row_R: Tensor) -> Callable[[Tensor], Tensor]:
    """What gives each of R rows the value of its prompt, (P, ...) -> (R, ...). Rows in equal runs get it by a view,
    whose gradient is a plain sum; that of `index_select` is a slow scatter on a CPU."""
    times = len(row_R) // prompts
    runs_R = torch.arange(prompts, device=row_R.device).repeat_interleave(times)
    if not torch.equal(row_R, runs_R):
        return lambda values: values.index_select(0, row_R)
    if times == 1:
        return lambda values: values
    return lambda values: values.unsqueeze(1).expand(-1, times, *values.shape[1:]).flatten(0, 1)
