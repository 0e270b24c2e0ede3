"""Small Hugging Face models of every family, with random weights: the one place of their configurations."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    CodeGenConfig,
    CodeGenForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from rltf.policies.codet5p.config import CodeT5pConfig
from rltf.policies.codet5p.model import CodeT5pEncoderDecoderModel
from rltf.policies.compat import decoder_prompt

PAD, EOS, BOS = 0, 1, 2
"""Special tokens, unless a caller names others."""


def greedy_by_generate(model: Any, prompt_ids: tuple[int, ...], **options: Any) -> list[int]:
    """The greedy response to a prompt by transformers' `generate`.

    Args:
        model: of any family.
        prompt_ids: the prompt.
        **options: of `generate`.
    """
    ids = torch.tensor([prompt_ids], device=model.device)
    read_first, extra = prompt_ids, {}
    if model.config.is_encoder_decoder:
        read_first = decoder_prompt(model, prompt_ids)
        extra = {"decoder_input_ids": torch.tensor([read_first], device=model.device)}
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **extra, **options)[0]
    response: list[int] = out[len(read_first) :].tolist()
    return response


def t5_model(
    vocabulary: int, width: int = 32, *, inner: int | None = None, heads: int = 4, layers: int = 2, **options: Any
) -> T5ForConditionalGeneration:
    """A T5 without dropout.

    Args:
        vocabulary: rows of the embedding.
        width: `d_model`.
        inner: width of the feed-forward layers; None: twice `width`.
        heads: attention heads.
        layers: of encoder and decoder each.
        **options: further fields of `T5Config`.
    """
    fields: dict[str, Any] = {
        "d_model": width,
        "d_kv": width // heads,
        "d_ff": inner or 2 * width,
        "num_layers": layers,
        "num_heads": heads,
        "dropout_rate": 0.0,
        "decoder_start_token_id": PAD,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
    }
    return T5ForConditionalGeneration(T5Config(vocab_size=vocabulary, **fields | options)).eval()


def llama_model(vocabulary: int, width: int = 32, **options: Any) -> LlamaForCausalLM:
    """A Llama; see `_llama_type`."""
    return LlamaForCausalLM(LlamaConfig(**_llama_type(vocabulary, width, **options))).eval()


def qwen2_model(vocabulary: int, width: int = 32, **options: Any) -> Qwen2ForCausalLM:
    """A Qwen2 with tied embeddings; see `_llama_type`."""
    return Qwen2ForCausalLM(Qwen2Config(tie_word_embeddings=True, **_llama_type(vocabulary, width, **options))).eval()


def _llama_type(
    vocabulary: int,
    width: int,
    *,
    inner: int | None = None,
    heads: int = 4,
    kv_heads: int = 2,
    layers: int = 2,
    **options: Any,
) -> dict[str, Any]:
    """Fields of a configuration; `inner` None: twice `width`."""
    fields: dict[str, Any] = {
        "hidden_size": width,
        "intermediate_size": inner or 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "bos_token_id": BOS,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
    }
    return {"vocab_size": vocabulary, **fields | options}


def codegen_model(
    vocabulary: int, width: int = 32, *, heads: int = 4, layers: int = 2, **options: Any
) -> CodeGenForCausalLM:
    """A CodeGen, half of whose head dimensions rotate, for at most 256 tokens."""
    fields: dict[str, Any] = {
        "n_positions": 256,
        "n_embd": width,
        "n_layer": layers,
        "n_head": heads,
        "rotary_dim": width // heads // 2,
        "bos_token_id": BOS,
        "pad_token_id": PAD,
        "eos_token_id": EOS,
    }
    return CodeGenForCausalLM(CodeGenConfig(vocab_size=vocabulary, **fields | options)).eval()


def codet5p_model(
    vocabulary: int, width: int = 32, *, encoder: int = 16, heads: int = 4, layers: int = 2, **options: Any
) -> CodeT5pEncoderDecoderModel:
    """A CodeT5+ of the layout of 2B, for at most 256 tokens; in the decoder half of a head's dimensions rotate.

    Args:
        vocabulary: rows of both embeddings.
        width: of the decoder.
        encoder: width of the encoder, which has two layers.
        heads: of both.
        layers: of the decoder.
        **options: further fields of both configurations.
    """
    shared = {"n_positions": 256, "n_head": heads, "bos_token_id": BOS, "pad_token_id": PAD, "eos_token_id": EOS}
    fields = shared | {"vocab_size": vocabulary} | options
    config = CodeT5pConfig(
        encoder={"n_embd": encoder, "n_layer": 2, "rotary_dim": encoder // heads, **fields},
        decoder={"n_embd": width, "n_layer": layers, "rotary_dim": width // heads // 2, **fields},
        decoder_start_token_id=fields["eos_token_id"],
        pad_token_id=fields["pad_token_id"],
    )
    return CodeT5pEncoderDecoderModel(config).eval()


def gpt2_model(vocabulary: int) -> GPT2LMHeadModel:
    """A GPT-2 of one layer, a family without a decoder of ours."""
    config = GPT2Config(
        vocab_size=vocabulary, n_embd=16, n_layer=1, n_head=2, bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD
    )
    return GPT2LMHeadModel(config).eval()
