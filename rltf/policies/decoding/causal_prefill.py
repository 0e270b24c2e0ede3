"""Prefill of causal families, whose programs share the keys and values of the prompt itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rltf.policies.decoding.interfaces import PromptStates


def prefill(backbone: Any, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
    """The states of prompts, from transformers' own forward: keys and values of all tokens but the last, with which the
    rows then begin.

    Args:
        backbone: the model below its head.
        prompt_PS: int64, padded on either side.
        mask_PS: bool.
    """
    from transformers import DynamicCache

    mask_PS = mask_PS.bool()
    position_PS = (mask_PS.cumsum(1) - 1).clamp(min=0)
    cache = DynamicCache()
    backbone(
        input_ids=prompt_PS,
        attention_mask=mask_PS.long(),
        position_ids=position_PS,
        past_key_values=cache,
        use_cache=True,
        return_dict=True,
    )
    kv = torch.stack([torch.stack([layer.keys, layer.values]) for layer in cache.layers])
    position_P = position_PS.amax(1)
    last_PS = mask_PS & (position_PS == position_P[:, None])
    # Padding on the right repeats the last position, but is not real; on the left it has position 0 and is not real.
    start_P = (prompt_PS * last_PS).sum(1)
    return PromptStates(kv, mask_PS & ~last_PS, start_P, position_P)
