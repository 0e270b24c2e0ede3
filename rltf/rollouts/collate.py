"""Rollouts and demonstrations as padded tensors. B rows, S prompt tokens, T response tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

from rltf.algorithms.advantages import token_weights
from rltf.types import Program, Rollout, RolloutBatch

Ids = Sequence[int]


def collate(rollouts: Sequence[Rollout], pad_id: int, prompt_padding: str) -> RolloutBatch:
    """A batch of rollouts, each drawn token weighted by `token_weights`; excluded tokens and those of
    `Program.prefix_ids` carry no loss.

    Args:
        rollouts: at least one.
        pad_id: token id put at padding.
        prompt_padding: side of prompts that is padded, `left` or `right`; responses are padded on the right.
    """
    batch = collate_programs([rollout.program for rollout in rollouts], pad_id, prompt_padding)
    excluded_BT = torch.zeros_like(batch.mask_BT)
    for row, rollout in enumerate(rollouts):
        prefix = len(rollout.program.prefix_ids)
        excluded_BT[row, [prefix + t for t in rollout.excluded_tokens]] = True
    weight_BT = _padded_floats(map(token_weights, rollouts), batch.mask_BT)
    return replace(batch, mask_BT=batch.mask_BT & ~excluded_BT, weight_BT=weight_BT.masked_fill(excluded_BT, 0.0))


def collate_programs(programs: Sequence[Program], pad_id: int, prompt_padding: str) -> RolloutBatch:
    """A batch of programs that no reward has weighed: `mask_BT` is True and `weight_BT` 1 at every drawn token.

    Args:
        programs: at least one.
        pad_id: token id put at padding.
        prompt_padding: side of prompts that is padded, `left` or `right`; responses are padded on the right.
    """
    prompt_BS, prompt_mask_BS = _padded_ids([p.prompt_ids for p in programs], pad_id, prompt_padding)
    response_BT, response_mask_BT = _padded_ids([p.prefix_ids + p.token_ids for p in programs], pad_id, "right")
    prefix_B1 = torch.tensor([[len(p.prefix_ids)] for p in programs])
    mask_BT = response_mask_BT & (torch.arange(response_mask_BT.shape[1]) >= prefix_B1)
    return RolloutBatch(
        prompt_BS=prompt_BS,
        prompt_mask_BS=prompt_mask_BS,
        response_BT=response_BT,
        mask_BT=mask_BT,
        response_mask_BT=response_mask_BT,
        old_logprobs_BT=_padded_floats((p.logprobs for p in programs), mask_BT),
        weight_BT=mask_BT.to(torch.float32),
        version_B=torch.tensor([p.version for p in programs], dtype=torch.int64),
    )


def collate_demonstrations(pairs: Sequence[tuple[Ids, Ids]], pad_id: int, prompt_padding: str) -> RolloutBatch:
    """A batch of (prompt ids, answer ids), every answer token with weight 1.

    Args:
        pairs: at least one.
        pad_id: token id put at padding.
        prompt_padding: side of prompts that is padded, `left` or `right`.
    """
    prompt_BS, prompt_mask_BS = _padded_ids([prompt for prompt, _ in pairs], pad_id, prompt_padding)
    response_BT, mask_BT = _padded_ids([answer for _, answer in pairs], pad_id, "right")
    return RolloutBatch(
        prompt_BS=prompt_BS,
        prompt_mask_BS=prompt_mask_BS,
        response_BT=response_BT,
        mask_BT=mask_BT,
        response_mask_BT=mask_BT,
        old_logprobs_BT=torch.zeros(mask_BT.shape),
        weight_BT=mask_BT.to(torch.float32),
        version_B=torch.zeros(len(pairs), dtype=torch.int64),
    )


def _padded_ids(rows: Sequence[Ids], pad_id: int, side: str) -> tuple[Tensor, Tensor]:
    """int64 ids and bool mask of rows of unequal length."""
    assert rows, "a batch has at least one row"
    assert side in ("left", "right"), side
    lengths_B1 = np.array([[len(row)] for row in rows])
    positions = np.arange(lengths_B1.max())
    mask = positions < lengths_B1 if side == "right" else positions >= lengths_B1.max() - lengths_B1
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = _flatten(rows, np.int64, int(lengths_B1.sum()))
    return torch.from_numpy(ids), torch.from_numpy(mask)


def _padded_floats(rows: Iterable[Sequence[float]], mask_BT: Tensor) -> Tensor:
    """float32 values where the mask is True, 0 elsewhere."""
    mask = mask_BT.numpy()
    values = np.zeros(mask.shape, dtype=np.float32)
    values[mask] = _flatten(rows, np.float32, int(mask.sum()))
    return torch.from_numpy(values)


def _flatten(rows: Iterable[Sequence[float]], dtype: DTypeLike, count: int) -> NDArray[np.generic]:
    return np.fromiter(chain.from_iterable(rows), dtype=dtype, count=count)
