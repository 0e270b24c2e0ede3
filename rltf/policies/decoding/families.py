"""Which decoder runs which model."""

from __future__ import annotations

from typing import Any

from rltf.policies.decoding.cache_c import CompiledCache
from rltf.policies.decoding.cache_torch import StaticCache
from rltf.policies.decoding.codegen import CodeGenDecoder
from rltf.policies.decoding.interfaces import Cache, Decoder
from rltf.policies.decoding.llama import LlamaDecoder
from rltf.policies.decoding.t5 import T5Decoder


def decoder_for(model: Any, horizon: int = 1, compiled: bool = True) -> Decoder:
    """The lean decoder of a model, on its present weights.

    Args:
        model: of transformers, with its language-model head.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.

    Raises:
        ValueError: no decoder computes what this model does.
    """
    for family in (T5Decoder, LlamaDecoder, CodeGenDecoder):
        if family.fits(model):
            return family(model, horizon, compiled)
    raise ValueError(
        f"generation=native has no decoder for {type(model).__name__}: expected a T5, Llama, Qwen2 or CodeGen model; "
        "generation=hf works with any"
    )


def make_cache(decoder: Decoder, seats: int, columns: int, prompts: int, length: int, buckets: bool = False) -> Cache:
    """The fastest cache that the decoder can use; see `StaticCache` for the arguments."""
    if decoder.kernels is None:
        return StaticCache(decoder, seats, columns, prompts, length, buckets)
    return CompiledCache(decoder, decoder.kernels, seats, columns, prompts, length)
