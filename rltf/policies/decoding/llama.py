"""Families of the Llama type, by one step with switches: Llama, SmolLM2 and 3, Qwen 2 and 3, Mistral, Phi-3,
StarCoder2, OLMo 2, Gemma 2 and 3."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies.decoding import causal_prefill
from rltf.policies.decoding.interfaces import Cache, Decoder, PromptStates
from rltf.policies.decoding.llama_layers import (
    Norm,
    family_of,
    layer_kinds,
    read_layer,
    read_norm,
    rope_parameters,
    windows_of,
)
from rltf.policies.decoding.projections import (
    add_linear,
    apply_linear,
    apply_rotary_,
    bias_or_none,
    interleaved_order,
    soft_cap,
    transposed_weight,
)
from rltf.policies.kernels import Kernels

_POSITIONS = 1024
"""The table of positions has a multiple of these, so that it stays the same size from draw to draw."""


class LlamaDecoder(Decoder):
    """Decodes a model of a class in `llama_layers.FAMILIES`: grouped queries, rotary positions in all or some layers.

    Args:
        model: a model that fits.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.
    """

    prefix_in_prompt = True

    def __init__(self, model: Any, horizon: int, compiled: bool) -> None:
        super().__init__(model, compiled)
        config, stack, family = model.config, model.model, family_of(model)
        assert family is not None, "fits comes first"
        self.layers, self.heads = len(stack.layers), config.num_key_value_heads
        attention = stack.layers[0].self_attn
        self.head_dim = attention.head_dim
        self._query_heads = config.num_attention_heads
        self.group = self._query_heads // self.heads
        self.windows = windows_of(config, family, horizon)
        self.score_cap = config.attn_logit_softcapping if family.caps_scores else None
        self._logit_cap = config.final_logit_softcapping if family.caps_logits else None
        embedding = stack.embed_tokens
        self._embedding = embedding.weight.detach()
        scale: Tensor | None = getattr(embedding, "embed_scale", None)
        self._embedding_scale = None if scale is None else scale.to(self._embedding.dtype)
        kinds = layer_kinds(config)
        rope_kinds = [kind for kind in rope_parameters(config) if kind is None or kind in kinds]
        # transformers' own tables, so that every kind of scaling is right; their second half repeats the first.
        positions = torch.arange(-(-horizon // _POSITIONS) * _POSITIONS, device=self.device)[None]
        self._rotations = [self._rotation_table(stack, positions, kind) for kind in rope_kinds]
        rotated = 2 * self._rotations[0].shape[-1]
        self._pair_order = interleaved_order(1, self.head_dim, self.device, rotated)
        self._layers = []
        for layer, kind in zip(stack.layers, kinds, strict=True):
            rotates = getattr(layer.self_attn, "use_rope", True)
            table = rope_kinds.index(kind if kind in rope_kinds else None) if rotates else None
            self._layers.append(read_layer(layer, table, rotated, self.kernels, family))
        self._norm = read_norm(stack.norm, self.kernels, family)
        self._head, self._head_bias = transposed_weight(model.lm_head), bias_or_none(model.lm_head)

    @classmethod
    @override
    def fits(cls, model: Any) -> bool:
        """Whether it is of a class in the table, without positions whose table depends on the length."""
        return family_of(model) is not None

    @override
    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        states = causal_prefill.prefill(self.model.model, prompt_PS, mask_PS)
        states.kv[:, 0] = states.kv[:, 0].index_select(-1, self._pair_order)
        return states

    @override
    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        hidden = self._embedding.index_select(0, token_A)
        if self._embedding_scale is not None:
            hidden = hidden * self._embedding_scale
        count, queries, kernels = hidden.shape[0], self._query_heads, self.kernels
        rotations = [table.index_select(0, position_A) for table in self._rotations]
        rotated = queries + self.heads
        for i, layer in enumerate(self._layers):
            x = hidden if layer.norm is None else layer.norm(hidden)
            qkv = apply_linear(x, layer.qkv, layer.qkv_bias, kernels).view(count, -1, self.head_dim)
            if layer.query_norm is not None and layer.key_norm is not None:
                layer.query_norm(qkv[:, :queries])
                layer.key_norm(qkv[:, queries:rotated])
            if layer.rotation is not None:
                apply_rotary_(qkv[:, :rotated], rotations[layer.rotation], kernels)
            context = cache.joint_attention(i, qkv)
            hidden = _add(hidden, context, layer.out, layer.out_bias, layer.out_norm, kernels)
            x = hidden if layer.ff_norm is None else layer.ff_norm(hidden)
            if layer.gate is None:
                inner = layer.activation(apply_linear(x, layer.up, layer.up_bias, kernels))
            else:
                gate = layer.activation(apply_linear(x, layer.gate, layer.gate_bias, kernels))
                inner = gate * apply_linear(x, layer.up, layer.up_bias, kernels)
            hidden = _add(hidden, inner, layer.down, layer.down_bias, layer.down_norm, kernels)
        x = hidden if self._norm is None else self._norm(hidden)
        logits = apply_linear(x, self._head, self._head_bias, kernels)
        return logits if self._logit_cap is None else soft_cap(logits, self._logit_cap)

    def _rotation_table(self, stack: Any, positions: Tensor, kind: str | None) -> Tensor:
        """complex64 (positions, 1, rotating dimensions / 2), for the layers of a kind."""
        zero = torch.zeros(1, device=self.device)
        cos, sin = stack.rotary_emb(zero, positions) if kind is None else stack.rotary_emb(zero, positions, kind)
        return torch.complex(cos[0], sin[0])[:, None, : cos.shape[-1] // 2]


def _add(
    residual: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, norm: Norm | None, kernels: Kernels | None
) -> Tensor:
    """The residual (A, d) plus the projection of x, through a norm where there is one."""
    if norm is not None:
        return residual + norm(apply_linear(x, weight, bias, kernels))
    total = add_linear(residual, x, weight, kernels)
    return total if bias is None else total + bias
