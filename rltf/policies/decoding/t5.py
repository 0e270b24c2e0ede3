"""T5, mT5, UMT5, CodeT5 and CodeT5+ (220M, 770M): encoder once per prompt, then twenty kernels a layer and token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from rltf.policies.compat import is_t5, t5_output_scale
from rltf.policies.decoding.interfaces import Cache, Decoder, PromptStates
from rltf.policies.decoding.projections import RMSNorm, add_linear, apply_linear, joined_weight, transposed_weight
from rltf.policies.kernels import Kernels


@dataclass(frozen=True, slots=True)
class _Layer:
    self_norm: RMSNorm
    qkv: Tensor
    self_out: Tensor
    cross_norm: RMSNorm
    cross_q: Tensor
    cross_out: Tensor
    ff_norm: RMSNorm
    ff_in: Tensor
    ff_gate: Tensor | None
    ff_out: Tensor
    activation: Any


class T5Decoder(Decoder):
    """Decodes a `T5ForConditionalGeneration`, mT5 or UMT5; relu or gated feed-forward, encoder and decoder of any
    depths, one bias of distances or one a layer.

    Args:
        model: a model that fits.
        horizon: positions that a row can reach.
        compiled: use the compiled kernels where they fit.
    """

    prefix_in_prompt = False

    def __init__(self, model: Any, horizon: int, compiled: bool) -> None:
        super().__init__(model, compiled)
        stack, config = model.decoder, model.config
        self.layers, self.heads, self.head_dim = len(stack.block), config.num_heads, config.d_kv
        self._embedding = stack.embed_tokens.weight.detach()
        self._layers = [_layer(block, self.kernels) for block in stack.block]
        self._norm = RMSNorm(stack.final_layer_norm, self.kernels)
        self._head = transposed_weight(model.lm_head)
        self._scale = t5_output_scale(config)
        attentions = [block.layer[0].SelfAttention for block in stack.block]
        self._compute_biases = [part.compute_bias for part in attentions if part.has_relative_attention_bias]
        cross = [block.layer[1].EncDecAttention for block in stack.block]
        projections = [projection for attention in cross for projection in (attention.k, attention.v)]
        self._cross_kv = torch.cat([transposed_weight(projection) for projection in projections], 1)

    @classmethod
    @override
    def fits(cls, model: Any) -> bool:
        return is_t5(model)

    @override
    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        """Runs the encoder, and projects the keys and values of all cross-attentions in one product."""
        encoder = self.model.get_encoder()
        encoded_PSd = encoder(input_ids=prompt_PS, attention_mask=mask_PS.long(), return_dict=True).last_hidden_state
        kv = torch.matmul(encoded_PSd, self._cross_kv)
        kv = kv.view(*prompt_PS.shape, self.layers, 2, self.heads, self.head_dim).permute(2, 3, 0, 4, 1, 5)
        start_P = torch.full_like(prompt_PS[:, 0], self.model.config.decoder_start_token_id)
        return PromptStates(kv, mask_PS.bool(), start_P, torch.zeros_like(start_P))

    @override
    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        hidden = self._embedding.index_select(0, token_A)  # positions enter through the bias of distances alone
        count, kernels = hidden.shape[0], self.kernels
        for i, layer in enumerate(self._layers):
            qkv = apply_linear(layer.self_norm(hidden), layer.qkv, kernels=kernels).view(count, -1, self.head_dim)
            hidden = add_linear(hidden, cache.self_attention(i, qkv), layer.self_out, kernels)
            query = apply_linear(layer.cross_norm(hidden), layer.cross_q, kernels=kernels).view(
                count, -1, self.head_dim
            )
            hidden = add_linear(hidden, cache.prompt_attention(i, query), layer.cross_out, kernels)
            normed = layer.ff_norm(hidden)
            inner = layer.activation(apply_linear(normed, layer.ff_in, kernels=kernels))
            if layer.ff_gate is not None:
                inner = inner * apply_linear(normed, layer.ff_gate, kernels=kernels)
            hidden = add_linear(hidden, inner, layer.ff_out, kernels)
            if hidden.dtype == torch.float16:
                hidden = hidden.clamp(-64504, 64504)
        hidden = self._norm(hidden)
        return apply_linear(hidden if self._scale == 1.0 else hidden * self._scale, self._head, kernels=kernels)

    @override
    def distance_bias(self, columns: int) -> Tensor:
        biases = [compute(1, columns, past_seen_tokens=columns - 1) for compute in self._compute_biases]
        bias_LHC = torch.cat(biases).detach()[:, :, 0]
        return bias_LHC[0] if len(biases) == 1 else bias_LHC


def _layer(block: Any, kernels: Kernels | None) -> _Layer:
    self_block, cross_block, ff_block = block.layer[0], block.layer[1], block.layer[2]
    attention, cross_attention, dense = self_block.SelfAttention, cross_block.EncDecAttention, ff_block.DenseReluDense
    gated = hasattr(dense, "wi_0")
    return _Layer(
        self_norm=RMSNorm(self_block.layer_norm, kernels),
        qkv=joined_weight([transposed_weight(part) for part in (attention.q, attention.k, attention.v)], kernels),
        self_out=transposed_weight(attention.o),
        cross_norm=RMSNorm(cross_block.layer_norm, kernels),
        cross_q=transposed_weight(cross_attention.q),
        cross_out=transposed_weight(cross_attention.o),
        ff_norm=RMSNorm(ff_block.layer_norm, kernels),
        ff_in=transposed_weight(dense.wi_0 if gated else dense.wi),
        ff_gate=transposed_weight(dense.wi_1) if gated else None,
        ff_out=transposed_weight(dense.wo),
        activation=torch.relu_ if isinstance(dense.act, nn.ReLU) else dense.act,
    )
