"""The blocks of CodeT5+ 2B and 6B: CodeGen's, and cross-attention beside the other two parts of the decoder's last one.

    h + self_attention(norm(h)) + feed_forward(norm(h)) [+ cross_attention(norm(h), encoder states)]

Deviations from the hub's code:
1. Attention is torch's `scaled_dot_product_attention`, whose half-precision kernels round otherwise than scores in
   float32 do.
2. A token's position is the number of real tokens before it, on whichever side a batch is padded; the hub's code counts
   columns, which is the same with padding on the right.
3. A cached step rotates the queries of cross-attention at the token's position; in the hub's code they begin at 0
   again, and its cache is never read.

B rows, P prompts, T tokens that are run, L tokens that are read, S encoder tokens, H heads, D width of a head, d width
of the model.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.activations import ACT2FN
from transformers.modeling_layers import GradientCheckpointingLayer

SHARDS = 4
"""Joined projections are laid out for four TPU cores; each shard holds its heads' queries, then values, then keys."""


class EncoderStates(NamedTuple):
    """What cross-attention reads."""

    states_PSd: Tensor
    """Encoder states in the decoder's width."""
    mask_PS: Tensor | None
    """bool or int64, true at real tokens; None: all are."""
    prompt_index_B: Tensor | None = None
    """int64: each row's prompt, where several rows share one; None: row i has prompt i."""


class Rotation(NamedTuple):
    """Rotary positions, (B, 1, T, r / 2) float32 each."""

    cos: Tensor
    sin: Tensor


def rotation_at(position_BT: Tensor, rotary_dim: int) -> Rotation:
    """The rotation of tokens at these positions, for heads of which `rotary_dim` dimensions rotate."""
    exponents = torch.arange(0, rotary_dim, 2, dtype=torch.int64, device=position_BT.device) / rotary_dim
    angles = position_BT[:, None, :, None].float() * (1.0 / 10000**exponents)
    return Rotation(angles.cos(), angles.sin())


def positions_of(mask_BL: Tensor) -> Tensor:
    """The position of each token, int64 (B, L): how many real tokens stand before it."""
    return (mask_BL.long().cumsum(1) - 1).clamp(min=0)


def rotate(x_BHTD: Tensor, rotation: Rotation) -> Tensor:
    """Queries or keys with their first dimensions rotated, in neighbouring pairs."""
    rotary_dim = 2 * rotation.cos.shape[-1]
    at_least_float32 = torch.promote_types(x_BHTD.dtype, torch.float32)
    even, odd = x_BHTD[..., :rotary_dim].to(at_least_float32).unflatten(-1, (-1, 2)).unbind(-1)
    rotated = torch.stack((even * rotation.cos - odd * rotation.sin, odd * rotation.cos + even * rotation.sin), -1)
    return torch.cat([rotated.flatten(-2).to(x_BHTD.dtype), x_BHTD[..., rotary_dim:]], -1)


class _Heads(nn.Module):
    """What both kinds of attention share: sizes, the output projection, dropout.

    Args:
        config: a `CodeT5pModuleConfig`.
        parts: d-wide outputs of the joined projection.
    """

    def __init__(self, config: Any, parts: int) -> None:
        super().__init__()
        self.heads, self.head_dim = config.n_head, config.n_embd // config.n_head
        self.scale_attn = sqrt(self.head_dim)
        self.rotary_dim = config.rotary_dim or self.head_dim
        self.qkv_proj = nn.Linear(config.n_embd, parts * config.n_embd, bias=False)
        self.out_proj = nn.Linear(config.n_embd, config.n_embd, bias=False)
        self.attn_dropout, self.resid_dropout = nn.Dropout(config.attn_pdrop), nn.Dropout(config.resid_pdrop)

    def split(self, joined: Tensor, parts: int) -> list[Tensor]:
        """The parts of a joined projection, (B, H, T, D) each."""
        by_part = joined.unflatten(-1, (SHARDS, parts, -1)).unbind(-2)
        return [part.flatten(-2).unflatten(-1, (self.heads, self.head_dim)).transpose(1, 2) for part in by_part]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """(B, T, d): the values that the queries see where `mask` is true."""
        dropout = self.attn_dropout.p if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, mask, dropout)
        out: Tensor = self.resid_dropout(self.out_proj(mixed.transpose(1, 2).flatten(2)))
        return out


def in_type_of(linear: nn.Module, x: Tensor) -> Tensor:
    """x in the type of a layer's weight, which may be another than that of the model; in its own where the weight is
    packed, since such a layer takes any."""
    dtype: torch.dtype = linear.weight.dtype  # type: ignore[assignment]
    return x.to(dtype) if dtype.is_floating_point else x


class CodeT5pAttention(_Heads):
    """Self-attention.

    Args:
        config: a `CodeT5pModuleConfig`.
        layer_index: of the cache.
    """

    def __init__(self, config: Any, layer_index: int) -> None:
        super().__init__(config, 3)
        self.layer_index = layer_index

    def forward(self, hidden_BTd: Tensor, rotation: Rotation, mask: Tensor | None, past_key_values: Any) -> Tensor:
        """(B, T, d) of tokens that see those of the cache and, where `mask` (B, 1, T, L) is true, each other."""
        query, value, key = self.split(self.qkv_proj(hidden_BTd), 3)
        query, key = rotate(query, rotation), rotate(key, rotation)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_index)
        return self.attend(query, key, value, mask)


class CodeT5pCrossAttention(_Heads):
    """Attention to the encoder's states. Its queries and keys rotate, too, each at its own token's position.

    Args:
        config: a `CodeT5pModuleConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__(config, 2)
        self.q_attn = nn.Linear(config.n_embd, config.n_embd, bias=False)

    def keys_values(self, states_PSd: Tensor, mask_PS: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keys and values of prompts, (P, H, S, D) each."""
        value, key = self.split(self.qkv_proj(in_type_of(self.qkv_proj, states_PSd)), 2)
        real_PS = torch.ones_like(states_PSd[..., 0]) if mask_PS is None else mask_PS
        return rotate(key, rotation_at(positions_of(real_PS), self.rotary_dim)), value

    def forward(self, hidden_BTd: Tensor, rotation: Rotation, encoder: EncoderStates, cross_cache: Any) -> Tensor:
        """(B, T, d), in the type of `hidden_BTd`: the block may be kept in float32 beside half-precision weights."""
        query = self.split(self.q_attn(in_type_of(self.q_attn, hidden_BTd)), 1)[0]
        if cross_cache is not None and cross_cache.get_seq_length():
            key, value = cross_cache.layers[0].keys, cross_cache.layers[0].values
        else:
            key, value = self.keys_values(encoder.states_PSd, encoder.mask_PS)
            if cross_cache is not None:
                cross_cache.update(key, value, 0)
        mask_PS = encoder.mask_PS
        if encoder.prompt_index_B is not None:
            key, value = (tensor.index_select(0, encoder.prompt_index_B) for tensor in (key, value))
            mask_PS = None if mask_PS is None else mask_PS.index_select(0, encoder.prompt_index_B)
        mask = None if mask_PS is None else mask_PS.bool()[:, None, None]
        return self.attend(rotate(query, rotation), key, value, mask).to(hidden_BTd.dtype)


class CodeT5pMLP(nn.Module):
    """The feed-forward part.

    Args:
        config: a `CodeT5pModuleConfig`.
    """

    def __init__(self, config: Any) -> None:
        super().__init__()
        inner = 4 * config.n_embd if config.n_inner is None else config.n_inner
        self.fc_in, self.fc_out = nn.Linear(config.n_embd, inner), nn.Linear(inner, config.n_embd)
        self.act = ACT2FN[config.activation_function]
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, hidden_BTd: Tensor) -> Tensor:
        """(B, T, d) to (B, T, d)."""
        out: Tensor = self.dropout(self.fc_out(self.act(self.fc_in(hidden_BTd))))
        return out


class CodeT5pBlock(GradientCheckpointingLayer):
    """A layer; see the module.

    Args:
        config: a `CodeT5pModuleConfig`.
        layer_index: of the cache.
        crosses: whether it attends to the encoder.
    """

    def __init__(self, config: Any, layer_index: int, crosses: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, eps=config.layer_norm_epsilon)
        self.attn, self.mlp = CodeT5pAttention(config, layer_index), CodeT5pMLP(config)
        self.crossattention = CodeT5pCrossAttention(config) if crosses else None

    def forward(
        self,
        hidden_BTd: Tensor,
        rotation: Rotation,
        mask: Tensor | None,
        encoder: EncoderStates | None = None,
        past_key_values: Any = None,
        cross_cache: Any = None,
    ) -> Tensor:
        """(B, T, d) to (B, T, d)."""
        normed = self.ln_1(hidden_BTd)
        hidden_BTd = hidden_BTd + self.attn(normed, rotation, mask, past_key_values) + self.mlp(normed)
        if self.crossattention is not None and encoder is not None:
            hidden_BTd = hidden_BTd + self.crossattention(normed, rotation, encoder, cross_cache)
        return hidden_BTd
