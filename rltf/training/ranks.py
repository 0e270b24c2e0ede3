"""Exchange between the processes ("ranks") of a run: all of them call these functions together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import distributed


def mean_over_ranks(
    counts: Sequence[Mapping[str, float]], device: torch.device | str = "cpu"
) -> Sequence[Mapping[str, float]]:
    """The counts of every micro-batch, averaged over all ranks by one collective; unchanged in a single process.

    Args:
        counts: `LossMix.counts` of each micro-batch of an iteration; the same terms and number on all ranks.
        device: where the process group's backend reduces (NCCL: the rank's GPU).
    """
    if not (distributed.is_available() and distributed.is_initialized()) or not counts:
        return counts
    terms = list(counts[0])
    table_MK = torch.tensor([[c[term] for term in terms] for c in counts], dtype=torch.float64, device=device)
    distributed.all_reduce(table_MK)
    table_MK /= distributed.get_world_size()
    return [dict(zip(terms, row, strict=True)) for row in table_MK.tolist()]


def all_gather(state: Any) -> list[Any]:
    """The `state` of every rank, on every rank.

    Args:
        state: plain values and tensors.
    """
    if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
        return [state]
    states: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(states, state)
    return states
