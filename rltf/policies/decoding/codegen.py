"""CodeGen: attention and feed-forward side by side behind one norm, partly rotary, projections in four shards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rltf.policies.decoding import causal_prefill
from rltf.policies.decoding.interfaces import Cache, Decoder, PromptStates
from rltf.policies.decoding.projections import add_project, bias, project, rotate_, weight

_SHARDS = 4
"""The joined projection is laid out for four TPU cores: each shard holds its heads' queries, then values, then keys."""


@dataclass(frozen=True, slots=True)
class _Layer:
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
        model: the model.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.
    """

    prefix_in_prompt = True

    def __init__(self, model: Any, horizon: int, compiled: bool) -> None:
        super().__init__(model, compiled)
        config, stack = model.config, model.transformer
        if horizon > config.n_positions:
            raise ValueError(
                f"generation.sampling.max_new_tokens and the longest prompt reach {horizon} positions: expected "
                f"at most {config.n_positions}, the n_positions of this CodeGen"
            )
        self.layers, self.heads = len(stack.h), config.n_head
        self.head_dim = config.n_embd // config.n_head
        self._embedding = stack.wte.weight.detach()
        self._layers = [self._layer(block) for block in stack.h]
        self._norm = stack.ln_f
        self._head, self._head_bias = weight(model.lm_head), bias(model.lm_head)
        sin, cos = stack.h[0].attn.embed_positions.float().to(self.device).chunk(2, -1)
        self._turns = torch.complex(cos.contiguous(), sin.contiguous())[:, None]

    @classmethod
    def fits(cls, model: Any) -> bool:
        """See `Decoder.fits`."""
        from transformers import CodeGenForCausalLM

        return isinstance(model, CodeGenForCausalLM)

    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        """See `Decoder.prefill`."""
        return causal_prefill.prefill(self.model.transformer, prompt_PS, mask_PS)

    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        """See `Decoder.step`."""
        hidden = self._embedding.index_select(0, token_A)
        count = hidden.shape[0]
        turn = self._turns.index_select(0, position_A)
        for i, layer in enumerate(self._layers):
            normed = _normed(layer.norm, hidden)
            qkv = project(normed, layer.qkv).view(count, 3 * self.heads, self.head_dim)
            rotate_(qkv[:, : 2 * self.heads], turn, self.kernels)
            context = cache.both(i, qkv)
            inner = layer.activation(project(normed, layer.ff_in, layer.ff_in_bias))
            hidden = add_project(add_project(hidden, context, layer.out), inner, layer.ff_out)
            if layer.ff_out_bias is not None:
                hidden = hidden + layer.ff_out_bias
        return project(_normed(self._norm, hidden), self._head, self._head_bias)

    def _layer(self, block: Any) -> _Layer:
        attention, mlp = block.attn, block.mlp
        # (in, shard, query/value/key, width of a shard) -> queries, keys, values of all heads.
        parts = weight(attention.qkv_proj).unflatten(1, (_SHARDS, 3, -1)).unbind(2)
        query, value, key = (part.flatten(1) for part in parts)
        return _Layer(
            norm=block.ln_1,
            qkv=torch.cat([query / attention.scale_attn, key, value], 1),
            out=weight(attention.out_proj),
            ff_in=weight(mlp.fc_in),
            ff_in_bias=bias(mlp.fc_in),
            ff_out=weight(mlp.fc_out),
            ff_out_bias=bias(mlp.fc_out),
            activation=mlp.act,
        )


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
