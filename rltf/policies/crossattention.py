"""T5's cross-attention for rows that share their prompt: keys and values are projected once a prompt, not once a row.

A decoder's cross-attention knows neither the order of its queries nor to which row they belong, so the queries of all
rows of a prompt can be one long list of queries: the same numbers, without one copy of the prompt's keys and values.

B rows, P prompts, n = B / P rows of each, S prompt tokens, T response tokens, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5Attention

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class SharedCrossAttention(T5Attention):
    """Takes encoder states of fewer prompts than rows, where each prompt's rows stand side by side."""

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """As `T5Attention.forward`, for hidden_states (B, T, D) and key_value_states (P, S, D)."""
        assert key_value_states is not None
        rows, prompts = len(hidden_states), len(key_value_states)
        if rows == prompts:
            return super().forward(hidden_states, mask, key_value_states, position_bias, **options)
        if position_bias is None:  # the first layer; the others get what it returns
            position_bias = _additive(mask, hidden_states, key_value_states.shape[1])
        queries = hidden_states.reshape(prompts, -1, hidden_states.shape[-1])
        output, *rest = super().forward(queries, None, key_value_states, position_bias, **options)
        return (output.reshape(hidden_states.shape), *rest)


def share_prompts(model: PreTrainedModel) -> None:
    """Lets the decoder of a T5 take encoder states of fewer prompts than rows; all else stays as it is."""
    for block in model.get_decoder().block:
        block.layer[1].EncDecAttention.__class__ = SharedCrossAttention


def _additive(mask: Tensor | None, like: Tensor, source: int) -> Tensor:
    """What is added to the scores, (P or 1, 1, 1, S): T5 has no positions across, and every query sees the same."""
    zeros = like.new_zeros(1, 1, 1, source)
    if mask is None:
        return zeros
    seen = mask[:, :, :1]
    return zeros.masked_fill(~seen, torch.finfo(like.dtype).min) if seen.dtype == torch.bool else zeros + seen
