"""Which decoder and which cache run a model."""

from __future__ import annotations

from typing import Any

from rltf.policies.decoding.cache_c import CompiledCache
from rltf.policies.decoding.cache_torch import StaticCache
from rltf.policies.decoding.codegen import CodeGenDecoder
from rltf.policies.decoding.codet5p import CodeT5pDecoder
from rltf.policies.decoding.interfaces import Cache, Decoder
from rltf.policies.decoding.llama import LlamaDecoder
from rltf.policies.decoding.llama_layers import unknown_option
from rltf.policies.decoding.t5 import T5Decoder

DECODERS: list[Any] = [T5Decoder, LlamaDecoder, CodeGenDecoder, CodeT5pDecoder]
"""Decoders that the engine tries, the first one that fits a model; append your own."""


def decoder_for(model: Any, horizon: int = 1, compiled: bool = True) -> Decoder:
    """The decoder of a model's family, on its present weights.

    Args:
        model: of transformers, with its language-model head.
        horizon: positions that a row can reach, prompt included.
        compiled: use the compiled kernels where they fit.

    Raises:
        ValueError: no decoder computes what this model does.
    """
    for decoder in DECODERS:
        if decoder.fits(model):
            return decoder(model, horizon, compiled)
    option = unknown_option(model)
    name = type(model).__name__ + (f" with {option}" if option else "")
    raise ValueError(
        f"generation=native has no decoder for {name}: expected a T5, mT5, UMT5, CodeT5+, CodeGen, Llama, "
        "SmolLM3, Qwen2, Qwen3, Mistral, Phi-3, StarCoder2, OLMo 2, Gemma 2 or Gemma 3 model; generation=auto and "
        "generation=hf serve the other families of transformers"
    )


def make_cache(
    decoder: Decoder, rows: int, columns: int, prompts: int, prompt_length: int, buckets: bool = False
) -> Cache:
    """The fastest cache that the decoder can use; see `StaticCache` for the arguments."""
    if decoder.kernels is None:
        return StaticCache(decoder, rows, columns, prompts, prompt_length, buckets)
    return CompiledCache(decoder, decoder.kernels, rows, columns, prompts, prompt_length)
