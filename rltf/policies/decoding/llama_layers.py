"""What families of the Llama type do otherwise than Llama, and their layers' weights in the layout of the step.

The table holds what a class of transformers does whatever its configuration says; biases, norms of queries and keys,
fused projections, scales and ropes are read from the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rltf.policies.compat import family_class
from rltf.policies.decoding.projections import (
    PartsNorm,
    RMSNorm,
    bias_or_none,
    interleaved_order,
    joined_weight,
    transposed_weight,
)
from rltf.policies.kernels import Kernels

Norm = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Family:
    """What a class of transformers does otherwise than Llama."""

    norms: tuple[str | None, str | None, str | None, str | None] = (
        *("input_layernorm", None),
        *("post_attention_layernorm", None),
    )
    """Modules before and after the attention, and before and after the feed-forward part."""
    windows: Literal["none", "all", "by_layer"] = "none"
    """Layers of which each token sees `sliding_window` positions: all, or those that `layer_types` names."""
    norm_offset: float = 0.0
    """Is added to the weights of RMS norms."""
    caps_scores: bool = False
    """Whether attention scores are capped by `attn_logit_softcapping`."""
    caps_logits: bool = False
    """Whether logits are capped by `final_logit_softcapping`."""


_AROUND = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
FAMILIES: Mapping[str, Family] = {
    "LlamaForCausalLM": Family(),
    "MistralForCausalLM": Family(windows="all"),
    "Qwen2ForCausalLM": Family(windows="by_layer"),
    "Qwen3ForCausalLM": Family(windows="by_layer"),
    "Phi3ForCausalLM": Family(windows="all"),
    "SmolLM3ForCausalLM": Family(windows="by_layer"),
    "Starcoder2ForCausalLM": Family(windows="all"),
    "Olmo2ForCausalLM": Family(norms=(None, "post_attention_layernorm", None, "post_feedforward_layernorm")),
    "Gemma2ForCausalLM": Family(_AROUND, "by_layer", norm_offset=1.0, caps_scores=True, caps_logits=True),
    "Gemma3ForCausalLM": Family(_AROUND, "by_layer", norm_offset=1.0, caps_logits=True),
}
"""Class of transformers -> what it does otherwise than Llama."""
_GROWING_ROPES = ("dynamic", "longrope")
"""Kinds of rotary positions whose table depends on how long a sequence is."""


@dataclass(frozen=True, slots=True)
class LlamaLayer:
    """What a step reads of a layer; None: the layer has no such part."""

    norm: Norm | None
    qkv: Tensor
    qkv_bias: Tensor | None
    query_norm: PartsNorm | None
    key_norm: PartsNorm | None
    rotation: int | None
    """Index of the layer's table of rotary positions."""
    out: Tensor
    out_bias: Tensor | None
    out_norm: Norm | None
    ff_norm: Norm | None
    gate: Tensor | None
    gate_bias: Tensor | None
    up: Tensor
    up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None
    down_norm: Norm | None
    activation: Any


def family_of(model: Any) -> Family | None:
    """The row of a model in the table; None where the step does not compute what the model does."""
    family = FAMILIES.get(family_class(model))
    return None if family is None or unknown_option(model) else family


def unknown_option(model: Any) -> str:
    """The option of a model of a class in the table that the step does not know, as `name=value`; empty: none."""
    family, config = FAMILIES.get(family_class(model)), model.config
    if family is None:
        return ""
    kinds = layer_kinds(config) if family.windows == "by_layer" else []
    ropes = [rope.get("rope_type", "default") for rope in rope_parameters(config).values()]
    options = [
        *(f"rope_type={rope}" for rope in ropes if rope in _GROWING_ROPES),
        *(f"layer_types={kind}" for kind in kinds if kind not in ("full_attention", "sliding_attention")),
        *(["use_bidirectional_attention=true"] if getattr(config, "use_bidirectional_attention", False) else []),
    ]
    return options[0] if options else ""


def rope_parameters(config: Any) -> dict[str | None, Mapping[str, Any]]:
    """Kind of layer -> parameters of its rotary positions; None stands for all layers where they have the same."""
    parameters = getattr(config, "rope_parameters", None) or {}
    by_layer = {kind: rope for kind, rope in parameters.items() if isinstance(rope, Mapping)}
    return by_layer or {None: parameters}


def windows_of(config: Any, family: Family, horizon: int) -> tuple[int | None, ...]:
    """`Decoder.windows` of a model whose rows reach `horizon` positions: what is as long sees all of them."""
    window = getattr(config, "sliding_window", None)
    if family.windows == "none" or window is None or window >= horizon:
        return ()
    slides = [family.windows == "all" or kind == "sliding_attention" for kind in layer_kinds(config)]
    return tuple(window if sliding else None for sliding in slides) if any(slides) else ()


def layer_kinds(config: Any) -> list[str]:
    """The entry of `layer_types` for each layer."""
    return list(getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers)


def read_norm(norm: Any, kernels: Kernels | None, family: Family) -> Norm | None:
    """A norm of the step; layer norms are run as they are."""
    if norm is None or isinstance(norm, nn.LayerNorm):
        return norm
    return RMSNorm(norm, kernels, family.norm_offset)


def read_layer(layer: Any, rotation: int | None, rotated: int, kernels: Kernels | None, family: Family) -> LlamaLayer:
    """A layer's weights in the layout of the step.

    Args:
        layer: of a model's stack.
        rotation: index of its table of rotary positions; None: it has none.
        rotated: dimensions of a head that rotate.
        kernels: compiled ones; None: torch's.
        family: of the model.
    """
    attention, mlp = layer.self_attn, layer.mlp
    norm, out_norm, ff_norm, down_norm = (
        read_norm(None if name is None else getattr(layer, name), kernels, family) for name in family.norms
    )
    query_norm = key_norm = None
    head_dim, scale = attention.head_dim, attention.scaling
    weights, biases = _qkv(attention)
    orders = [
        interleaved_order(weight.shape[1] // head_dim, head_dim, weight.device, rotated) for weight in weights[:2]
    ]
    # Scores are scaled through the query's projection, or its norm.
    if hasattr(attention, "q_norm"):
        query_norm = PartsNorm(attention.q_norm, kernels, orders[0], family.norm_offset, scale)
        key_norm = PartsNorm(attention.k_norm, kernels, orders[1], family.norm_offset)
        scale = 1.0
    qkv = joined_weight([weights[0][:, orders[0]] * scale, weights[1][:, orders[1]], weights[2]], kernels)
    qkv_bias = None
    if biases is not None:
        qkv_bias = torch.cat([biases[0][orders[0]] * scale, biases[1][orders[1]], biases[2]])
    (gate, gate_bias), (up, up_bias), down = _feed_forward(mlp)
    return LlamaLayer(
        norm=norm,
        qkv=qkv,
        qkv_bias=qkv_bias,
        query_norm=query_norm,
        key_norm=key_norm,
        rotation=rotation,
        out=transposed_weight(attention.o_proj),
        out_bias=bias_or_none(attention.o_proj),
        out_norm=out_norm,
        ff_norm=ff_norm,
        gate=gate,
        gate_bias=gate_bias,
        up=up,
        up_bias=up_bias,
        down=transposed_weight(down),
        down_bias=bias_or_none(down),
        down_norm=down_norm,
        activation=next(getattr(mlp, name) for name in ("act_fn", "activation_fn", "act") if hasattr(mlp, name)),
    )


def _qkv(attention: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...] | None]:
    """Weights (in, out) of queries, keys and values, and their biases."""
    if hasattr(attention, "qkv_proj"):
        fused = attention.qkv_proj
        kv = attention.num_key_value_heads * attention.head_dim
        sizes = [fused.out_features - 2 * kv, kv, kv]
        bias = bias_or_none(fused)
        return transposed_weight(fused).split(sizes, 1), None if bias is None else bias.split(sizes)
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    weights = tuple(transposed_weight(part) for part in parts)
    biases = [bias_or_none(part) for part in parts]
    if all(bias is None for bias in biases):
        return weights, None
    zeros = [weight.new_zeros(weight.shape[1]) for weight in weights]
    return weights, tuple(none if bias is None else bias for bias, none in zip(biases, zeros, strict=True))


_Projection = tuple[Tensor, Tensor | None]


def _feed_forward(mlp: Any) -> tuple[_Projection | tuple[None, None], _Projection, nn.Module]:
    """Weight and bias of the gate (None without one) and of the projection beside it, and the module behind them."""
    if hasattr(mlp, "c_fc"):
        return (None, None), (transposed_weight(mlp.c_fc), bias_or_none(mlp.c_fc)), mlp.c_proj
    if hasattr(mlp, "gate_up_proj"):
        gate, up = transposed_weight(mlp.gate_up_proj).chunk(2, 1)
        bias = bias_or_none(mlp.gate_up_proj)
        gate_bias, up_bias = (None, None) if bias is None else bias.chunk(2)
        return (gate, gate_bias), (up, up_bias), mlp.down_proj
    gate_and_up = [(transposed_weight(part), bias_or_none(part)) for part in (mlp.gate_proj, mlp.up_proj)]
    return gate_and_up[0], gate_and_up[1], mlp.down_proj
