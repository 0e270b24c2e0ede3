"""Small batches for objective tests."""

from __future__ import annotations

import torch

from rltf.algorithms.objective import BatchLogprobs, TokenScores
from rltf.types import RolloutBatch


def batch_of(weights, lengths=None, old_logprobs=None, versions=None):
    """A batch from nested lists of token weights; `lengths` real tokens a row (default: all)."""
    weight_BT = torch.tensor(weights)
    rows, columns = weight_BT.shape
    lengths_B1 = torch.tensor(lengths if lengths is not None else [columns] * rows)[:, None]
    mask_BT = torch.arange(columns) < lengths_B1
    old_BT = torch.zeros(rows, columns) if old_logprobs is None else torch.tensor(old_logprobs)
    return RolloutBatch(
        prompt_BS=torch.zeros(rows, 1, dtype=torch.int64),
        prompt_mask_BS=torch.ones(rows, 1, dtype=torch.bool),
        response_BT=torch.zeros(rows, columns, dtype=torch.int64),
        mask_BT=mask_BT,
        response_mask_BT=mask_BT,
        old_logprobs_BT=old_BT * mask_BT,
        weight_BT=weight_BT * mask_BT,
        version_B=torch.zeros(rows, dtype=torch.int64) if versions is None else torch.tensor(versions),
    )


def scored(logprobs_BT, batch, reference_BT=None):
    """What an objective of log-probs reads."""
    return BatchLogprobs(batch, logprobs_BT, None if reference_BT is None else TokenScores(reference_BT))


def gradient(objective, logprobs, batch, reference=None):
    """(loss, d loss / d logprobs_BT) of total / count."""
    logprobs_BT = torch.tensor(logprobs, requires_grad=True)
    loss = objective(scored(logprobs_BT, batch, None if reference is None else torch.tensor(reference)))
    value = loss.total / loss.count
    value.backward()
    return value.item(), logprobs_BT.grad
