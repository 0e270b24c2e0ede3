"""T5's cross-attention for rows that share their prompt: keys and values are projected once a prompt, not once a row.

Cross-attention depends neither on the order of its queries nor on the rows they belong to, so the queries of all rows
of a prompt can be one long list of queries: the same numbers, without a copy of the prompt's keys and values per row.

B rows, P prompts with B / P rows each, S prompt tokens, T response tokens, D width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers.models.t5.modeling_t5 import T5Attention

from rltf.policies import compat

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class SharedCrossAttention(T5Attention):
    """T5's cross-attention for encoder states of fewer prompts than rows, where each prompt's rows lie side by side."""

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """As `T5Attention.forward`, for hidden_states (B, T, D) and key_value_states (P, S, D)."""
        if key_value_states is None or past_key_values is not None:
            return super().forward(
                hidden_states, mask, key_value_states, position_bias, past_key_values=past_key_values, **options
            )
        prompts = len(key_value_states)
        query, key, value = (
            part(states).view(prompts, -1, self.n_heads, self.key_value_proj_dim).transpose(1, 2)
            for part, states in ((self.q, hidden_states), (self.k, key_value_states), (self.v, key_value_states))
        )
        if position_bias is None:  # the first layer; the others get what it returns
            position_bias = _score_bias(mask, query)
        dropout = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, position_bias, dropout, scale=self.scaling)
        return self.o(mixed.transpose(1, 2).reshape(*hidden_states.shape[:2], -1)), position_bias, None


def share_prompts(model: PreTrainedModel) -> None:
    """Makes the decoder of a T5 accept encoder states of fewer prompts than rows."""
    for block in model.get_decoder().block:
        compat.replace_forward(block.layer[1].EncDecAttention, SharedCrossAttention)


def _score_bias(mask: Tensor | None, like: Tensor) -> Tensor | None:
    """What is added to the scores, (P, 1, 1, S): T5's cross-attention has no positions, and every query sees the same
    tokens. None where no prompt is padded."""
    if mask is None:
        return None
    visible = mask[:, :, :1]
    if visible.dtype != torch.bool:
        return visible
    return torch.zeros_like(visible, dtype=like.dtype).masked_fill(~visible, torch.finfo(like.dtype).min)
