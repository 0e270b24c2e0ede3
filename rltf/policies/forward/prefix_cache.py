"""Keys and values of prompts, with gradient, that the responses of several rows continue.

transformers lets a model read a cache and write to it. The two caches here only read or only record, so that a layer
that is run twice (gradient checkpointing) gets and gives the same; transformers 5 lets such layers keep their cache.

B rows, P prompts, S prompt tokens, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


ToRows = Callable[[Tensor], Tensor]
"""(P, ...) -> (B, ...)"""


class _Recorded(DynamicLayer):
    """Remembers what it is given, once."""

    is_initialized: bool

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of the prompts, as they came, (P, heads, S, d)."""
        if not self.is_initialized:
            self.keys, self.values, self.is_initialized = key_states, value_states, True
        return key_states, value_states


class _Prefix(DynamicLayer):
    """Puts the keys and values of each row's prompt before its own."""

    def __init__(self, recorded: _Recorded, to_rows: ToRows) -> None:
        super().__init__()
        self.keys, self.values, self.is_initialized = recorded.keys, recorded.values, True
        self.to_rows = to_rows

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of S + T tokens, (B, heads, S + T, d)."""
        return (
            torch.cat([self.to_rows(self.keys), key_states], dim=-2),
            torch.cat([self.to_rows(self.values), value_states], dim=-2),
        )


def recording(model: PreTrainedModel) -> Cache:
    """To run prompts with."""
    return Cache(layers=[_Recorded() for _ in range(model.config.num_hidden_layers)])


def prefix(recorded: Cache, to_rows: ToRows) -> Cache:
    """To run responses with; `to_rows` gives each its prompt's keys and values."""
    return Cache(layers=[_Prefix(layer, to_rows) for layer in recorded.layers])


def enable(model: PreTrainedModel) -> bool:
    """Whether the model's layers can read a prefix: every one attends to all that came before; and, where activations
    are recomputed, transformers lets them keep a cache that they do not write to."""
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        return False
    recomputed = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
    if not recomputed:
        return True
    layers = [module for module in recomputed if hasattr(module, _KEEPS)]
    for layer in layers:
        setattr(layer, _KEEPS, True)
    return len(layers) == model.config.num_hidden_layers


_KEEPS = "_can_checkpoint_with_cache"
"""transformers 5: set on layers that only read the cache."""
