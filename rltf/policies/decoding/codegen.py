"""CodeGen: attention and feed-forward side by side behind one norm, partly rotary, projections in four shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from rltf.policies.decoding import causal_prefill
from rltf.policies.decoding.interfaces import Cache, Decoder, PromptStates
from rltf.policies.decoding.projections import (
    add_linear,
    apply_linear,
    apply_rotary_,
    bias_or_none,
    joined_weight,
    transposed_weight,
)

_SHARDS = 4
"""The joined projection is laid out for four TPU cores: each shard holds its heads' queries, then values, then keys."""


@dataclass(frozen=True, slots=True)
class CodeGenLayer:
    """What a step reads of a layer."""

    norm: nn.LayerNorm
    qkv: Tensor
    out: Tensor
    ff_in: Tensor
    ff_in_bias: Tensor | None
    ff_out: Tensor
    ff_out_bias: Tensor | None
    activation: Any


class CodeGenDecoder(Decoder):
    """Decodes a `CodeGenForCausalLM`.

    Args:
        model: a model that fits.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.
    """

    prefix_in_prompt = True

    def __init__(self, model: Any, horizon: int, compiled: bool) -> None:
        super().__init__(model, compiled)
        decoder = self._decoder_model()
        stack = decoder.transformer
        config = stack.config
        self.layers, self.heads = len(stack.h), config.n_head
        self.head_dim = config.n_embd // config.n_head
        self._embedding = stack.wte.weight.detach()
        self._layers = [self._layer(block) for block in stack.h]
        self._norm = stack.ln_f
        self._head, self._head_bias = transposed_weight(decoder.lm_head), bias_or_none(decoder.lm_head)
        self._rotations = self._rotation_table(stack)

    @classmethod
    @override
    def fits(cls, model: Any) -> bool:
        from transformers import CodeGenForCausalLM

        return isinstance(model, CodeGenForCausalLM)

    @override
    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        return causal_prefill.prefill(self.model.transformer, prompt_PS, mask_PS)

    @override
    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        hidden = self._embedding.index_select(0, token_A)
        rotation = self._rotations.index_select(0, position_A)
        for i, layer in enumerate(self._layers):
            hidden = self._block(i, layer, hidden, rotation, cache)
        return apply_linear(normed(self._norm, hidden), self._head, self._head_bias, self.kernels)

    def _decoder_model(self) -> Any:
        """What has the stack as `transformer`, and the head."""
        return self.model

    def _rotation_table(self, stack: Any) -> Tensor:
        """complex64 (positions, 1, rotating dimensions / 2)."""
        sin, cos = stack.h[0].attn.embed_positions.float().to(self.device).chunk(2, -1)
        return torch.complex(cos.contiguous(), sin.contiguous())[:, None]

    def _block(self, index: int, layer: CodeGenLayer, hidden: Tensor, rotation: Tensor, cache: Cache) -> Tensor:
        """A layer: (A, d) to (A, d)."""
        x, kernels = normed(layer.norm, hidden), self.kernels
        qkv = apply_linear(x, layer.qkv, kernels=kernels).view(len(x), 3 * self.heads, self.head_dim)
        apply_rotary_(qkv[:, : 2 * self.heads], rotation, kernels)
        context = cache.joint_attention(index, qkv)
        inner = layer.activation(apply_linear(x, layer.ff_in, layer.ff_in_bias, kernels))
        out = add_linear(add_linear(hidden, context, layer.out, kernels), inner, layer.ff_out, kernels)
        return out if layer.ff_out_bias is None else out + layer.ff_out_bias

    def _layer(self, block: Any) -> CodeGenLayer:
        attention, mlp = block.attn, block.mlp
        # (in, shard, query/value/key, width of a shard) -> queries, keys, values of all heads.
        parts = transposed_weight(attention.qkv_proj).unflatten(1, (_SHARDS, 3, -1)).unbind(2)
        query, value, key = (part.flatten(1) for part in parts)
        return CodeGenLayer(
            norm=block.ln_1,
            qkv=joined_weight([query / attention.scale_attn, key, value], self.kernels),
            out=transposed_weight(attention.out_proj),
            ff_in=transposed_weight(mlp.fc_in),
            ff_in_bias=bias_or_none(mlp.fc_in),
            ff_out=transposed_weight(mlp.fc_out),
            ff_out_bias=bias_or_none(mlp.fc_out),
            activation=mlp.act,
        )


def normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """The layer norm of x, (A, d)."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
