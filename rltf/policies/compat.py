"""What depends on transformers' internals, and every difference between its versions that policies meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def family_class(model: PreTrainedModel) -> str:
    """Name of the class of transformers that a model is of, or that its own class extends; empty: there is none."""
    classes = (cls.__name__ for cls in type(model).__mro__ if cls.__module__.startswith("transformers.models."))
    return next(classes, "")


def is_t5(model: PreTrainedModel) -> bool:
    """Whether the model's logits are computed as T5's are, up to biases by layer (UMT5)."""
    return family_class(model) in (
        "T5ForConditionalGeneration",
        "MT5ForConditionalGeneration",
        "UMT5ForConditionalGeneration",
    )


def decoder_prompt(model: PreTrainedModel, prompt_ids: tuple[int, ...]) -> tuple[int, ...]:
    """What the decoder of an encoder-decoder reads before a response: its start tokens, and behind them the prompt,
    where the family reads it twice (CodeT5+ 2B and 6B)."""
    if getattr(model, "decoder_reads_prompt", False):
        return (model.config.decoder_start_token_id, *prompt_ids)
    return (model.config.decoder_start_token_id,) if is_t5(model) else decoder_start(model)


def decoder_start(model: PreTrainedModel) -> tuple[int, ...]:
    """The tokens that transformers' `generate` gives the decoder of a BART type before it draws: the start token, by
    default the one that begins a text, and the one that it forces to be first. Empty where none is named."""
    config, generation = model.config, model.generation_config
    candidates = (
        getattr(generation, "decoder_start_token_id", None),
        getattr(config, "decoder_start_token_id", None),
        getattr(generation, "bos_token_id", None),
        getattr(config, "bos_token_id", None),
    )
    start = next((token for token in candidates if token is not None), None)
    forced = getattr(generation, "forced_bos_token_id", None)
    return tuple(token for token in (start, forced) if token is not None) if start is not None else ()


def head_bias(model: PreTrainedModel) -> Tensor | None:
    """What is added to the head's products, (V,): its bias, or the fixed `final_logits_bias` of BART types."""
    bias: Tensor | None = model.get_output_embeddings().bias
    fixed: Tensor | None = getattr(model, "final_logits_bias", None)
    if fixed is None:
        return bias
    return fixed[0] if bias is None else bias + fixed[0]


def forget_layer_states(model: PreTrainedModel) -> None:
    """Drops what layers keep in themselves between forward passes (RecurrentGemma): the state of another batch, which a
    prompt of one token would go on from, and which cannot be copied with its gradient."""
    for module in model.modules():
        for name in ("conv1d_state", "recurrent_states"):
            if getattr(module, name, None) is not None:
                setattr(module, name, None)


def has_recurrent_layers(model: PreTrainedModel) -> bool:
    """Whether layers carry a state from token to token, which padding before a text would enter."""
    kinds = set(getattr(model.config, "layer_types", None) or ())
    return bool(getattr(model, "_is_stateful", False) or kinds & {"conv", "linear_attention", "mamba", "hybrid"})


def t5_output_scale(config: Any) -> float:
    """What T5 multiplies its last hidden states with before the head. Old configurations say it by tied embeddings,
    from which loading fills the field; mT5 never does, and UMT5 where embeddings are tied."""
    if config.model_type in ("mt5", "umt5"):
        scales = config.model_type == "umt5" and config.tie_word_embeddings
    else:
        scales = config.scale_decoder_outputs
    return float(config.d_model**-0.5) if scales else 1.0


def forget_quantization(model: PreTrainedModel) -> PreTrainedModel:
    """Makes a model that was read from a GGUF file (and so de-quantized) one that can be saved: `save_pretrained`
    refuses it as long as its configuration names a quantization."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    for mark in ("is_quantized", "quantization_method"):
        if hasattr(model, mark):
            delattr(model, mark)
    return model


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Recomputes each layer in backward instead of storing its activations; has no effect in evaluation mode. A
    release after 5.15 renamed the method."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def let_recomputed_layers_read_a_cache(model: PreTrainedModel) -> bool:
    """Whether every layer whose activations are recomputed in backward may be given a cache. transformers takes it
    away from such layers, but for those with a private mark that says that they only read it; sets that mark."""
    recomputed = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
    if not recomputed:
        return True
    layers = [module for module in recomputed if hasattr(module, "_can_checkpoint_with_cache")]
    for layer in layers:
        layer._can_checkpoint_with_cache = True
    return len(layers) == model.config.num_hidden_layers


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes a tokenizer as transformers 4.57 reads it, too: 5.x has other names for the class of a tokenizer.json and
    for a list of special tokens, and reads both; 4.57 makes token types unless it is told."""
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    if isinstance(config.get("extra_special_tokens"), list):
        config["additional_special_tokens"] = config.pop("extra_special_tokens")
    config.setdefault("model_input_names", list(tokenizer.model_input_names))
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def replace_forward(module: nn.Module, subclass: type[nn.Module]) -> None:
    """Gives a module of a live model the `forward` of a subclass of its class; weights and names stay."""
    assert issubclass(subclass, type(module)), f"{subclass.__name__} does not extend {type(module).__name__}"
    module.__class__ = subclass


def layer_class_names(model: PreTrainedModel) -> set[str]:
    """Class names of the layers that transformers says must stay in one piece: the units to shard."""
    return set(model._no_split_modules or ())


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keeps the library's bars of loading and writing off the terminal, where the run shows its own progress."""
    from transformers.utils import logging

    enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if enabled:
            logging.enable_progress_bar()
