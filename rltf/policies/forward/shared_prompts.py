"""Rows that have the same prompt share what is computed from it. B rows, P distinct prompts, S prompt tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class SharedPrompts:
    """The distinct prompts of a batch."""

    prompt_PS: Tensor
    """Token ids; prompts in the order of their first rows."""
    mask_PS: Tensor
    """bool, True at real tokens."""
    prompt_index_B: Tensor
    """int64: each row's index into the prompts."""


def distinct_prompts(prompt_BS: Tensor, prompt_mask_BS: Tensor) -> SharedPrompts | None:
    """Each prompt once; None when no two rows have the same."""
    if len(prompt_BS) < 2:
        return None
    length = prompt_BS.shape[1]
    ids_and_mask = torch.cat([prompt_BS.masked_fill(~prompt_mask_BS, 0), prompt_mask_BS.long()], dim=1)
    prompts, sorted_B = torch.unique(ids_and_mask, dim=0, return_inverse=True)
    if len(prompts) == len(ids_and_mask):
        return None
    rows_B = torch.arange(len(ids_and_mask), device=ids_and_mask.device)
    first_P = rows_B.new_full((len(prompts),), len(ids_and_mask)).scatter_reduce(0, sorted_B, rows_B, "amin")
    order_P = first_P.argsort()
    prompts = prompts[order_P]
    return SharedPrompts(prompts[:, :length], prompts[:, length:].bool(), order_P.argsort()[sorted_B])


def prompts_to_run(prompt_BS: Tensor, prompt_mask_BS: Tensor, share: bool) -> SharedPrompts:
    """Each prompt once, as in `distinct_prompts`; where no rows have the same, or may not share it, the prompt of each
    row."""
    shared = distinct_prompts(prompt_BS, prompt_mask_BS) if share else None
    return shared or SharedPrompts(prompt_BS, prompt_mask_BS, torch.arange(len(prompt_BS), device=prompt_BS.device))


def prompts_to_rows(prompts: int, prompt_index_R: Tensor) -> Callable[[Tensor], Tensor]:
    """The function from a value per prompt to one per row, (P, ...) -> (R, ...). Rows in runs of one size get theirs by
    a view, whose gradient is a plain sum; that of `index_select` is a slow scatter on a CPU.

    Args:
        prompts: P.
        prompt_index_R: int64: each row's index into the prompts.
    """
    run_length = len(prompt_index_R) // prompts
    runs_R = torch.arange(prompts, device=prompt_index_R.device).repeat_interleave(run_length)
    if not torch.equal(prompt_index_R, runs_R):
        return lambda values: values.index_select(0, prompt_index_R)
    if run_length == 1:
        return lambda values: values
    return lambda values: values.unsqueeze(1).expand(-1, run_length, *values.shape[1:]).flatten(0, 1)
