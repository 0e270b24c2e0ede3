"""What depends on transformers' internals, and every difference between its versions that policies meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
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
    """What the decoder of an encoder-decoder reads before a response: its start token, and behind it the prompt, where
    the family reads it twice (CodeT5+ 2B and 6B)."""
    start: int = model.config.decoder_start_token_id
    return (start, *prompt_ids) if getattr(model, "decoder_reads_prompt", False) else (start,)


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
