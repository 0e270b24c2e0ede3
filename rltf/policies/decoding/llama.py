"""Llama, SmolLM2 and Qwen2: grouped queries, rotary positions, gated feed-forward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies.decoding import causal_prefill
from rltf.policies.decoding.interfaces import Cache, Decoder, PromptStates
from rltf.policies.decoding.projections import (
    RMSNorm,
    add_linear,
    apply_linear,
    apply_rotary_,
    bias_or_none,
    interleaved_order,
    transposed_weight,
)

_POSITIONS = 1024
"""The table of positions has a multiple of these, so that it stays the same size from draw to draw."""


@dataclass(frozen=True, slots=True)
class _Layer:
    norm: RMSNorm
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    ff_norm: RMSNorm
    gate: Tensor
    up: Tensor
    down: Tensor
    activation: Any


class LlamaDecoder(Decoder):
    """Decodes a `LlamaForCausalLM` or `Qwen2ForCausalLM`.

    Args:
        model: a model that fits.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.
    """

    prefix_in_prompt = True

    def __init__(self, model: Any, horizon: int, compiled: bool) -> None:
        super().__init__(model, compiled)
        config, stack = model.config, model.model
        self.layers, self.heads = len(stack.layers), config.num_key_value_heads
        attention = stack.layers[0].self_attn
        self.head_dim = attention.head_dim
        self._query_heads = config.num_attention_heads
        self.group = self._query_heads // self.heads
        self._embedding = stack.embed_tokens.weight.detach()
        self._pair_order = interleaved_order(1, self.head_dim, self.device)
        self._layers = [self._layer(layer) for layer in stack.layers]
        self._norm = RMSNorm(stack.norm, self.kernels)
        self._head, self._head_bias = transposed_weight(model.lm_head), bias_or_none(model.lm_head)
        # transformers' own table, so that every kind of scaling is right; its second half repeats the first.
        positions = torch.arange(-(-horizon // _POSITIONS) * _POSITIONS, device=self.device)[None]
        cos, sin = stack.rotary_emb(torch.zeros(1, device=self.device), positions)
        self._rotations = torch.complex(cos[0], sin[0])[:, None, : self.head_dim // 2]

    @classmethod
    @override
    def fits(cls, model: Any) -> bool:
        """Whether it is a Llama or Qwen2 without sliding windows, biases of the output or the feed-forward, or tables
        of positions that depend on the length."""
        from transformers import LlamaForCausalLM, Qwen2ForCausalLM

        if not isinstance(model, LlamaForCausalLM | Qwen2ForCausalLM):
            return False
        config = model.config
        rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
        return not (
            "sliding_attention" in (getattr(config, "layer_types", None) or ())
            or getattr(config, "attention_bias", False)
            or getattr(config, "mlp_bias", False)
            or rope.get("rope_type", "default") in ("dynamic", "longrope")
        )

    @override
    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        states = causal_prefill.prefill(self.model.model, prompt_PS, mask_PS)
        states.kv[:, 0] = states.kv[:, 0].index_select(-1, self._pair_order)
        return states

    @override
    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        hidden = self._embedding.index_select(0, token_A)
        count = hidden.shape[0]
        rotation = self._rotations.index_select(0, position_A)
        rotated = self._query_heads + self.heads
        for i, layer in enumerate(self._layers):
            qkv = apply_linear(layer.norm(hidden), layer.qkv, layer.qkv_bias).view(count, -1, self.head_dim)
            apply_rotary_(qkv[:, :rotated], rotation, self.kernels)
            hidden = add_linear(hidden, cache.joint_attention(i, qkv), layer.out)
            normed = layer.ff_norm(hidden)
            inner = layer.activation(apply_linear(normed, layer.gate)) * apply_linear(normed, layer.up)
            hidden = add_linear(hidden, inner, layer.down)
        return apply_linear(self._norm(hidden), self._head, self._head_bias)

    def _layer(self, layer: Any) -> _Layer:
        attention, mlp = layer.self_attn, layer.mlp
        query_order = interleaved_order(self._query_heads, self.head_dim, self.device)
        key_order = interleaved_order(self.heads, self.head_dim, self.device)
        query, key, value = attention.q_proj, attention.k_proj, attention.v_proj
        # Scores are scaled through the query's projection.
        query_weight = transposed_weight(query)[:, query_order] * attention.scaling
        biases = [bias_or_none(part) for part in (query, key, value)]
        qkv_bias = None
        if biases[0] is not None and biases[1] is not None and biases[2] is not None:
            qkv_bias = torch.cat([biases[0][query_order] * attention.scaling, biases[1][key_order], biases[2]])
        return _Layer(
            norm=RMSNorm(layer.input_layernorm, self.kernels),
            qkv=torch.cat([query_weight, transposed_weight(key)[:, key_order], transposed_weight(value)], 1),
            qkv_bias=qkv_bias,
            out=transposed_weight(attention.o_proj),
            ff_norm=RMSNorm(layer.post_attention_layernorm, self.kernels),
            gate=transposed_weight(mlp.gate_proj),
            up=transposed_weight(mlp.up_proj),
            down=transposed_weight(mlp.down_proj),
            activation=mlp.act_fn,
        )
