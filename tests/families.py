"""Small models of the families that transformers has and a user may bring, with random weights: those that are served,
and those that are refused."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from models import BOS, EOS, PAD
from transformers import PreTrainedModel

CONTEXT = 96
"""Positions of every model that has a bound."""
_SPECIAL = {"bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": PAD}
_GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
_USUAL = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}
_GROUPED = _USUAL | {"num_key_value_heads": 2}
_WINDOW = {"sliding_window": 8}
_YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 2.0, "original_max_position_embeddings": CONTEXT // 2}
_LLAMA3 = _YARN | {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_EXPERTS = {"moe_intermediate_size": 24, "num_experts_per_tok": 2}
_LATENT = {
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
    **_EXPERTS,
}
_T5 = {
    "d_model": 32,
    "d_kv": 8,
    "d_ff": 48,
    "num_layers": 2,
    "num_heads": 4,
    "decoder_start_token_id": PAD,
}
_BART = {
    "d_model": 32,
    **{f"{side}_{name}": n for side in ("encoder", "decoder") for name, n in (("layers", 2), ("attention_heads", 4))},
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": CONTEXT,
}
_GLOBAL = {"encoder_attention_type": "transient-global", "global_block_size": 4}
_GEMMA = _GROUPED | _WINDOW | {"head_dim": 8, "query_pre_attn_scalar": 8}
_DECODER = {
    "ffn_dim": 48,
    "num_attention_heads": 4,
    "max_position_embeddings": CONTEXT,
}

FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": ("T5ForConditionalGeneration", _T5),
    "t5_gated": ("T5ForConditionalGeneration", _T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "mt5": ("MT5ForConditionalGeneration", _T5),
    "umt5": ("UMT5ForConditionalGeneration", _T5),
    "gpt2": ("GPT2LMHeadModel", _GPT),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 8,
            "max_position_embeddings": CONTEXT,
        },
    ),
    "gpt_neox": ("GPTNeoXForCausalLM", _USUAL | {"rotary_pct": 0.5}),
    "gptj": ("GPTJForCausalLM", _GPT | {"rotary_dim": 4}),
    "codegen": ("CodeGenForCausalLM", _GPT | {"rotary_dim": 4}),
    "gpt_bigcode": ("GPTBigCodeForCausalLM", _GPT),
    "starcoder2": ("Starcoder2ForCausalLM", _GROUPED | {"residual_dropout": 0.1, "embedding_dropout": 0.1}),
    "starcoder2_window": ("Starcoder2ForCausalLM", _GROUPED | _WINDOW),
    "llama": ("LlamaForCausalLM", _GROUPED),
    "llama_llama3": ("LlamaForCausalLM", _GROUPED | {"rope_parameters": _LLAMA3}),
    "llama_yarn": ("LlamaForCausalLM", _GROUPED | {"rope_parameters": _YARN}),
    "llama_biases": ("LlamaForCausalLM", _GROUPED | {"attention_bias": True, "mlp_bias": True}),
    "mistral": ("MistralForCausalLM", _GROUPED | {"sliding_window": None}),
    "mistral_window": ("MistralForCausalLM", _GROUPED | _WINDOW),
    "qwen2": ("Qwen2ForCausalLM", _GROUPED),
    "qwen2_window": ("Qwen2ForCausalLM", _GROUPED | _WINDOW | {"use_sliding_window": True, "max_window_layers": 0}),
    "qwen3": ("Qwen3ForCausalLM", _GROUPED | {"head_dim": 8}),
    "gemma3": (
        "Gemma3ForCausalLM",
        _GROUPED
        | _WINDOW
        | {"head_dim": 8, "query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"]},
    ),
    "phi": ("PhiForCausalLM", _USUAL),
    "phi3": ("Phi3ForCausalLM", _GROUPED | _WINDOW | {"partial_rotary_factor": 0.5}),
    "olmo2": ("Olmo2ForCausalLM", _GROUPED),
    "smollm3": ("SmolLM3ForCausalLM", _GROUPED | {"no_rope_layers": [1, 0]}),
    "deepseek_v3": ("DeepseekV3ForCausalLM", _USUAL | _LATENT),
    "mixtral": ("MixtralForCausalLM", _GROUPED | {"num_local_experts": 4, "router_jitter_noise": 0.1}),
    "qwen3_moe": ("Qwen3MoeForCausalLM", _GROUPED | _EXPERTS | {"num_experts": 4, "head_dim": 8}),
    "gpt_oss": (
        "GptOssForCausalLM",
        _GROUPED
        | _WINDOW
        | {
            "head_dim": 8,
            "num_local_experts": 4,
            "num_experts_per_tok": 2,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
    "bloom": ("BloomForCausalLM", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "hidden_dropout": 0.1}),
    "opt": (
        "OPTForCausalLM",
        _DECODER | {"hidden_size": 32, "word_embed_proj_dim": 32, "num_hidden_layers": 2, "layerdrop": 0.1},
    ),
    "xglm": ("XGLMForCausalLM", _DECODER | {"d_model": 32, "num_layers": 2, "attention_heads": 4, "layerdrop": 0.1}),
    "falcon": ("FalconForCausalLM", _USUAL | {"hidden_dropout": 0.1}),
    "falcon_alibi": ("FalconForCausalLM", _USUAL | {"alibi": True}),
    "mpt": (
        "MptForCausalLM",
        {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": CONTEXT, "emb_pdrop": 0.1, "resid_pdrop": 0.1},
    ),
    "stablelm": ("StableLmForCausalLM", _GROUPED | {"hidden_dropout": 0.1}),
    "glm4": ("Glm4ForCausalLM", _GROUPED | {"head_dim": 8}),
    "nemotron": ("NemotronForCausalLM", _GROUPED),
    "lfm2": (
        "Lfm2ForCausalLM",
        _GROUPED | {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False},
    ),
    "qwen3_next": (
        "Qwen3NextForCausalLM",
        _GROUPED
        | _EXPERTS
        | {
            "head_dim": 8,
            "num_experts": 4,
            "shared_expert_intermediate_size": 24,
            "linear_num_value_heads": 4,
            "linear_num_key_heads": 2,
            "linear_key_head_dim": 8,
            "linear_value_head_dim": 8,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "mamba": ("MambaForCausalLM", {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2}),
    "mamba2": (
        "Mamba2ForCausalLM",
        {
            "hidden_size": 32,
            "state_size": 8,
            "num_hidden_layers": 2,
            "num_heads": 8,
            "head_dim": 8,
            "n_groups": 2,
            "chunk_size": 8,
        },
    ),
    "recurrent_gemma": (
        "RecurrentGemmaForCausalLM",
        _GROUPED | {"lru_width": 32, "attention_window_size": 8, "num_hidden_layers": 3},
    ),
    "gemma2": ("Gemma2ForCausalLM", _GEMMA),
    "granite": ("GraniteForCausalLM", _GROUPED | {"logits_scaling": 8.0}),
    "cohere": ("CohereForCausalLM", _GROUPED),
    "longt5": ("LongT5ForConditionalGeneration", _T5 | {"local_radius": 4}),
    "longt5_global": ("LongT5ForConditionalGeneration", _T5 | _GLOBAL | {"local_radius": 4}),
    "bart": ("BartForConditionalGeneration", _BART),
    "plbart": ("PLBartForConditionalGeneration", _BART),
    "pegasus": ("PegasusForConditionalGeneration", _BART | {"scale_embedding": True, "decoder_start_token_id": PAD}),
    "t5gemma": ("T5GemmaForConditionalGeneration", {"encoder": _GEMMA, "decoder": _GEMMA}),
    "rwkv": ("RwkvForCausalLM", {"hidden_size": 32, "num_hidden_layers": 2, "context_length": CONTEXT}),
    "mbart": ("MBartForConditionalGeneration", _BART),
}
"""Name -> class of transformers and fields of its configuration. Dropout as the family has it by default, or 0.1."""


_GATED = FAMILIES["t5_gated"][1]
_VARIANTS = {
    "ul2": ("T5ForConditionalGeneration", _GATED | {"feed_forward_proj": "gated-silu"}),
    "mt5": ("MT5ForConditionalGeneration", _GATED),
    "umt5": ("UMT5ForConditionalGeneration", _GATED),
    "llama_biases": ("LlamaForCausalLM", _GROUPED | {"attention_bias": True, "mlp_bias": True}),
    "llama_head_dim": ("LlamaForCausalLM", _GROUPED | {"head_dim": 12}),
    "qwen2_yarn": ("Qwen2ForCausalLM", _GROUPED | {"rope_parameters": _YARN}),
    "deepseek_v2": ("DeepseekV2ForCausalLM", _USUAL | _LATENT),
}
MATRIX = FAMILIES | {name: family for name, family in _VARIANTS.items() if name not in FAMILIES}
"""The rows of docs/models.md: `FAMILIES`, and variants that only the slow suite builds."""
SEQ2SEQ = tuple(name for name, (class_name, _) in MATRIX.items() if class_name.endswith("ForConditionalGeneration"))
_LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len", "context_length")


def family_model(name: str, vocabulary: int, context: int | None = None) -> PreTrainedModel:
    """A model of a family whose weights are large enough that every term shows.

    Args:
        name: a key of `MATRIX`.
        vocabulary: rows of the embedding.
        context: positions, in place of `CONTEXT`.
    """
    class_name, fields = MATRIX[name]
    model_class = getattr(transformers, class_name)
    torch.manual_seed(0)
    model: PreTrainedModel = model_class(model_class.config_class(**_fields(fields, vocabulary, context))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.normal_(std=0.25)
        if hasattr(model, "final_logits_bias"):  # of BART types, 0 as they begin
            model.final_logits_bias.normal_()
    return model


def _fields(fields: dict[str, Any], vocabulary: int, context: int | None) -> dict[str, Any]:
    """Of a configuration, and of those inside it (T5Gemma)."""
    parts = {key: _fields(value, vocabulary, context) for key, value in fields.items() if key in ("encoder", "decoder")}
    lengths = {key: context for key in fields if key in _LENGTHS and context is not None}
    return {"vocab_size": vocabulary, **_SPECIAL, **fields, **parts, **lengths}
