"""Builds a policy from pretrained weights, as `configs/model/*.yaml` describe it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Literal, TypeVar

import torch

from rltf.policies import compat, locate
from rltf.policies import lora as adapters
from rltf.policies.causal import CausalPolicy
from rltf.policies.dropout import PhaseDropout
from rltf.policies.encoder_decoder import EncoderDecoderPolicy
from rltf.policies.head import check_head
from rltf.policies.lora import Lora
from rltf.policies.pretrained import TransformersPolicy
from rltf.policies.prompt_pool import PROMPTS_FILE, PromptPool, Prompts
from rltf.policies.quantization import (
    QUANTIZATIONS,
    check_quantization,
    compute_in_run_precision,
    loading_options,
    refused_if_unfit,
    weight_count,
)
from rltf.policies.seq2seq import Seq2SeqPolicy
from rltf.validation import OptionError, require

log = logging.getLogger(__name__)

T = TypeVar("T")
Kind = Literal["seq2seq", "causal"]
Dtype = Literal["float32", "bfloat16", "float16"]
Quantization = Literal["nf4"]
DTYPES: dict[str, torch.dtype] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_HEADS: dict[str, tuple[str, ...]] = {
    "seq2seq": ("ForConditionalGeneration", "EncoderDecoderModel"),
    "causal": ("ForCausalLM", "LMHeadModel"),
}


def pretrained(
    name: str,
    path: str | None = None,
    kind: Kind | None = None,
    dtype: Dtype = "float32",
    max_prompt_tokens: int = 512,
    gguf_file: str | None = None,
    package: str | None = None,
    dropout: float | None = None,
    rl_dropout: float | None = 0.0,
    gradient_checkpointing: bool = False,
    lora: Lora | Mapping[str, Any] | None = None,
    quantization: Quantization | None = None,
    prompts: Prompts | Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> TransformersPolicy:
    """Loads a model and its tokenizer. In evaluation mode, as `from_pretrained` leaves it.

    Args:
        name: hub id of the weights.
        path: local folder in the Hugging Face layout; it replaces the hub. Or a folder with an adapter of peft, whose
            base is found by its `adapter_config.json`: training goes on with the adapter.
        kind: what the weights must be; None: what their configuration says.
        dtype: type of the weights.
        max_prompt_tokens: longest prompt, special tokens included.
        gguf_file: file name of weights in GGUF form, which are de-quantized.
        package: installed Python distribution that carries `gguf_file`.
        dropout: of all layers in supervised training; None: what the weights were made with.
        rl_dropout: of all layers in RL, adapters included; None: as in supervised training.
        gradient_checkpointing: recompute layers in backward; less memory, a third more work.
        lora: adapters to train in place of the weights: keywords of `rltf.policies.lora.Lora`.
        quantization: nf4 keeps the linear layers below adapters in 4 bits (see `rltf.policies.quantization`); a CUDA
            device is needed. None: as `dtype` says.
        prompts: learned prompts to train in place of the weights: keywords of `rltf.policies.prompt_pool.Prompts`;
            those of a folder that has some are read with its weights.
        trust_remote_code: run model code that comes with the weights. Only for sources you trust.

    Raises:
        ValueError: what is missing or does not fit, in one sentence with the key.
    """
    require("dtype", dtype, choices=DTYPES)
    require("kind", kind, choices=_HEADS, optional=True)
    require("quantization", quantization, choices=QUANTIZATIONS, optional=True)
    require("dropout", dropout, at_least=0, below=1, optional=True)
    require("rl_dropout", rl_dropout, at_least=0, below=1, optional=True)
    if lora is not None and not isinstance(lora, Lora):
        lora = _keywords("lora", Lora, lora)
    if prompts is not None and not isinstance(prompts, Prompts):
        prompts = _keywords("prompts", Prompts, prompts)
    base = None if path is None else adapters.base_of(path)
    adapter_folder = path if base is not None else None
    if base is not None:
        if lora is not None:
            raise OptionError("lora", str(lora), f"null, since {path} holds adapters, which bring their own shape")
        name, path = base, base if Path(base).is_dir() else None
    device = None
    if quantization is not None:
        device = check_quantization(quantization, lora is not None or base is not None, gguf_file)
    source = locate.find_weights(name, path, package, gguf_file)
    options: dict[str, Any] = {
        "local_files_only": source.local_only,
        "trust_remote_code": trust_remote_code,
        **({} if gguf_file is None else {"gguf_file": gguf_file}),
    }
    config = read_config(source.source, options)
    kind = _kind(config, kind, name if path is None else path)
    in_4_bits = (
        {} if gguf_file is not None else loading_options(quantization, config, source.source, DTYPES[dtype], device)
    )
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    auto = AutoModelForSeq2SeqLM if kind == "seq2seq" else AutoModelForCausalLM
    try:
        with compat.without_progress_bars():
            # a T5 of CodeT5+ with further parts, whose configuration the tokenizer's class cannot read for itself
            of_t5 = {"config": config} if hasattr(config, "embed_dim") else {}
            tokenizer = AutoTokenizer.from_pretrained(source.source, **of_t5, **options)
            model, report = auto.from_pretrained(
                source.source, config=config, dtype=DTYPES[dtype], output_loading_info=True, **in_4_bits, **options
            )
    except UnpicklingError:
        raise ValueError(
            f"model.path: the weights of {source.source} are a pickle of more than tensors, which could run code: "
            "expected safetensors, or tensors alone"
        ) from None
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ValueError(
            f"model.path: {source.source} does not load ({_first_line(error)}): expected a complete "
            "folder in the Hugging Face layout"
        ) from None
    if gguf_file is not None:
        compat.forget_quantization(model)
    if quantization is not None:
        compute_in_run_precision(model, quantization)
    policy_class: type[TransformersPolicy] = CausalPolicy
    if kind == "seq2seq":
        policy_class = Seq2SeqPolicy if compat.is_t5(model) else EncoderDecoderPolicy
    if config.model_type == "codet5p":
        from rltf.policies.codet5p.policy import CodeT5PlusPolicy as policy_class
        from rltf.policies.codet5p.weights import check_complete

        check_complete(report, "CodeT5+ 2B or 6B", source.source)
    policy = policy_class(model, tokenizer, max_prompt_tokens)
    if isinstance(policy, CausalPolicy | EncoderDecoderPolicy):
        with refused_if_unfit(model, quantization):
            check_head(model, policy.logit_scaling)
    if lora is not None:
        adapters.add_adapters(model, lora)
    if adapter_folder is not None:
        adapters.load_adapters(model, Path(adapter_folder).expanduser())
    _add_prompts(policy, prompts, None if path is None else Path(path).expanduser(), adapters_too=lora is not None)
    policy.dropout = PhaseDropout(model, dropout, rl_dropout)
    if gradient_checkpointing:
        try:
            compat.checkpoint_activations(model)
        except ValueError:
            raise OptionError(
                "gradient_checkpointing", True, f"false, since a {type(model).__name__} does not support it"
            ) from None
    size = sum(weight_count(weight) for weight in model.parameters()) / 1e6
    log.info("%s: %.1f M parameters, %s", name, size, f"{quantization} and {dtype}" if quantization else dtype)
    return policy


def read_config(source: str, options: Mapping[str, Any]) -> Any:
    """The configuration of a model, of the families of CodeT5+ too.

    Args:
        source: a folder or a hub id.
        options: of `from_pretrained`.

    Raises:
        ValueError: it does not load.
    """
    from transformers import AutoConfig

    from rltf.policies.codet5p.model import register
    from rltf.policies.codet5p.weights import t5_config

    register()
    try:
        of_t5 = None if "gguf_file" in options else t5_config(locate.WeightSource(source, options["local_files_only"]))
        config = of_t5 or AutoConfig.from_pretrained(source, **options)
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ValueError(
            f"model.path: the configuration of {source} does not load ({_first_line(error)}): expected a config.json "
            "that transformers knows"
        ) from None
    if of_t5 is not None and not of_t5.is_encoder_decoder:
        raise ValueError(f"model.path: {source} embeds texts and writes none: expected a model that generates text")
    return config


def _kind(config: Any, required: Kind | None, source: str) -> Kind:
    """The kind of model that a configuration describes, which must be `required` unless that is None."""
    kind: Kind = "seq2seq" if config.is_encoder_decoder else "causal"
    architectures = config.architectures or []
    if required is not None and required != kind:
        raise ValueError(
            f"model.kind is {required}, but {source} is {kind} ({config.model_type}): expected {kind} or null"
        )
    if architectures and not architectures[0].endswith(_HEADS[kind]):
        raise ValueError(
            f"model.path: {source} holds a {architectures[0]}, which generates no text: expected a {kind} "
            "language model"
        )
    return kind


def _add_prompts(policy: TransformersPolicy, prompts: Prompts | None, folder: Path | None, adapters_too: bool) -> None:
    """Gives a policy new learned prompts, or those of its folder."""
    file = None if folder is None else folder / PROMPTS_FILE
    exported = file is not None and file.is_file()
    if prompts is None and not exported:
        return
    if exported and prompts is not None:
        raise ValueError(f"{file} holds learned prompts, which training goes on with: expected prompts=none")
    if not isinstance(policy, Seq2SeqPolicy):
        raise ValueError(
            f"model.path holds a {type(policy.model).__name__} and prompts= puts learned vectors into an encoder: "
            "expected a T5 type, or prompts=none"
        )
    if adapters_too:
        raise ValueError("model.lora and prompts= both train something in place of the weights: expected one of them")
    width = policy.model.get_input_embeddings().weight.shape[1]
    assert prompts is not None or folder is not None
    policy.add_prompts(PromptPool(prompts, width) if prompts is not None else PromptPool.load(folder, width))  # type: ignore[arg-type]


def _keywords(key: str, kind: type[T], keywords: Mapping[str, Any]) -> T:
    try:
        return kind(**keywords)
    except OptionError as error:
        raise error.below(key) from error


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}".rstrip(": ")
