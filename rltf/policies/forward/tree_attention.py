"""T5's self-attention over trees of responses (`rltf.policies.forward.response_trees`).

P trees, M nodes, D width, H heads.
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


class TreeAttention(T5Attention):
    """T5's self-attention whose positions are given as depths in a tree, where there is one."""

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        past_key_values: Any = None,
        depth_PM: Tensor | None = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """As `T5Attention.forward`; with `depth_PM` for hidden_states (P, M, D) and the bool mask (P, 1, M, M) of the
        nodes that each node sees."""
        if depth_PM is None:
            return super().forward(
                hidden_states, mask, key_value_states, position_bias, past_key_values=past_key_values, **options
            )
        query, key, value = (
            part(hidden_states).view(*hidden_states.shape[:2], -1, self.key_value_proj_dim).transpose(1, 2)
            for part in (self.q, self.k, self.v)
        )
        if position_bias is None:  # the first layer; the others get what it returns
            assert mask is not None
            bias_PHMM = self._bias(depth_PM).to(query.dtype)
            position_bias = bias_PHMM.masked_fill(~mask, torch.finfo(query.dtype).min)
        dropout = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, position_bias, dropout, scale=self.scaling)
        return self.o(mixed.transpose(1, 2).flatten(2)), position_bias, None

    def _bias(self, depth_PM: Tensor) -> Tensor:
        """What T5 adds to the score of a query and a key, by how much deeper the query is, (P, H, M, M)."""
        bucket_PMM = self._relative_position_bucket(
            depth_PM[:, None, :] - depth_PM[:, :, None],
            bidirectional=False,
            num_buckets=self.relative_attention_num_buckets,
            max_distance=self.relative_attention_max_distance,
        )
        return self.relative_attention_bias(bucket_PMM).permute(0, 3, 1, 2)


def share_beginnings(model: PreTrainedModel) -> None:
    """Makes the decoder of a T5 accept trees, by the keyword `depth_PM`."""
    for block in model.get_decoder().block:
        compat.replace_forward(block.layer[0].SelfAttention, TreeAttention)
