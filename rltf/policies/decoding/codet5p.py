"""CodeT5+ 2B and 6B: CodeGen's step, and cross-attention in the last layer.

A row's prompt is read twice, by the encoder and behind the decoder's start token. Both have as many keys and values:
those of `start, prompt without its last token` (the row begins with that one) and those of the encoder's tokens. So the
latter are one more layer of the prompt's cache."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies.decoding.codegen import CodeGenDecoder, CodeGenLayer, normed
from rltf.policies.decoding.interfaces import Cache, PromptStates
from rltf.policies.decoding.projections import apply_linear, apply_rotary_, transposed_weight

_POSITIONS = 1024
"""The table of positions has a multiple of these, so that it stays the same size from draw to draw."""


class CodeT5pDecoder(CodeGenDecoder):
    """Decodes a `CodeT5pEncoderDecoderModel`. The given start of a response is fed to the rows token by token.

    Args:
        model: a model that fits.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.
    """

    prefix_in_prompt = False

    def __init__(self, model: Any, horizon: int, compiled: bool) -> None:
        self._positions = -(-(horizon + 1) // _POSITIONS) * _POSITIONS
        super().__init__(model, horizon, compiled)
        self.dtype = model.decoder.lm_head.weight.dtype  # the encoder may be kept in another
        self._depth = self.layers
        self.layers += 1
        cross = model.decoder.transformer.h[-1].crossattention
        self._cross_query = transposed_weight(cross.q_attn) / cross.scale_attn
        self._cross_out = transposed_weight(cross.out_proj)

    @classmethod
    @override
    def fits(cls, model: Any) -> bool:
        return getattr(model.config, "model_type", "") == "codet5p"

    @override
    def _decoder_model(self) -> Any:
        return self.model.decoder

    @override
    def _rotation_table(self, stack: Any) -> Tensor:
        from rltf.policies.codet5p.layers import rotation_at  # imports transformers

        rotation = rotation_at(torch.arange(self._positions, device=self.device)[None], stack.rotary_dim)
        return torch.complex(rotation.cos[0, 0], rotation.sin[0, 0])[:, None]

    @override
    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        from transformers import DynamicCache

        mask_PS = mask_PS.bool()
        order_PS = mask_PS.logical_not().to(torch.int8).argsort(dim=1, stable=True)  # padding to the right
        prompt_PS, mask_PS = prompt_PS.gather(1, order_PS), mask_PS.gather(1, order_PS)
        length_P = mask_PS.sum(1)
        start_P1 = torch.full_like(prompt_PS[:, :1], self.model.config.decoder_start_token_id)
        encoder = self.model.encoder_states(prompt_PS, mask_PS)
        stack, cache = self.model.decoder.transformer, DynamicCache()
        stack(torch.cat([start_P1, prompt_PS[:, :-1]], 1), mask_PS, cache)  # of which no key and value sees the encoder
        pairs = [torch.stack([layer.keys, layer.values]) for layer in cache.layers]
        cross = stack.h[-1].crossattention.keys_values(encoder.states_PSd, mask_PS)
        kv = torch.stack([*pairs, torch.stack(cross).to(self.dtype)])
        last_P = prompt_PS.gather(1, length_P[:, None] - 1)[:, 0]
        return PromptStates(kv, mask_PS, last_P, length_P)

    @override
    def _block(self, index: int, layer: CodeGenLayer, hidden: Tensor, rotation: Tensor, cache: Cache) -> Tensor:
        out = super()._block(index, layer, hidden, rotation, cache)
        if index < self._depth - 1:
            return out
        x = normed(layer.norm, hidden).to(self._cross_query.dtype)
        query = apply_linear(x, self._cross_query, kernels=self.kernels).to(self.dtype)
        query = query.view(len(hidden), self.heads, self.head_dim)
        apply_rotary_(query, rotation, self.kernels)
        context = cache.prompt_attention(self._depth, query)
        return out + apply_linear(context.to(self._cross_out.dtype), self._cross_out, kernels=self.kernels).to(
            out.dtype
        )
