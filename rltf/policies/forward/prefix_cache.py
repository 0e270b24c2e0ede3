"""Keys and values of prompts, with gradient, that the responses of several rows continue.

transformers lets a model read a cache and write to it. The two caches here only read or only record, so that a layer
that is run twice (gradient checkpointing) reads and records the same.

B rows, P prompts, S prompt tokens, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from rltf.policies import compat

if TYPE_CHECKING:
    from transformers import PreTrainedModel


ToRows = Callable[[Tensor], Tensor]
"""(P, ...) -> (B, ...)"""


class _RecordingLayer(DynamicLayer):
    """Stores the first keys and values that it gets."""

    is_initialized: bool

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of the prompts, unchanged, (P, heads, S, d)."""
        if not self.is_initialized:
            self.keys, self.values, self.is_initialized = key_states, value_states, True
        return key_states, value_states


class _PrefixLayer(DynamicLayer):
    """Puts the keys and values of each row's prompt before those of the row."""

    def __init__(self, prompts: _RecordingLayer, to_rows: ToRows) -> None:
        super().__init__()
        self.keys, self.values, self.is_initialized = prompts.keys, prompts.values, True
        self.to_rows = to_rows

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Keys and values of S + T tokens, (B, heads, S + T, d)."""
        return (
            torch.cat([self.to_rows(self.keys), key_states], dim=-2),
            torch.cat([self.to_rows(self.values), value_states], dim=-2),
        )


def recording_cache(model: PreTrainedModel) -> Cache:
    """A cache that records the keys and values of the prompts that are run with it."""
    return Cache(layers=[_RecordingLayer() for _ in range(model.config.num_hidden_layers)])


def has_recorded(prompts: Cache) -> bool:
    """Whether every layer has recorded its keys and values: a model may drop the cache that it is given."""
    return all(layer.is_initialized for layer in prompts.layers)


def prefix_cache(prompts: Cache, to_rows: ToRows) -> Cache:
    """A cache with which responses continue their prompts.

    Args:
        prompts: the recording cache that the prompts were run with.
        to_rows: from a value per prompt to one per row.
    """
    return Cache(layers=[_PrefixLayer(layer, to_rows) for layer in prompts.layers])


def can_read_prefixes(model: PreTrainedModel) -> bool:
    """Whether the model's layers can read a prefix: every one attends to all earlier tokens and, where activations are
    recomputed, may be given a cache."""
    attention_kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    return attention_kinds == {"full_attention"} and compat.let_recomputed_layers_read_a_cache(model)
