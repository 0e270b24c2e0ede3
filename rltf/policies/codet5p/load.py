"""Builds CodeT5+ 2B and 6B, as `configs/model/codet5p_2b.yaml` describes it.

`train` says which weights learn. The official tuning (`instruct_tune_codet5p.py` of salesforce/CodeT5) freezes the
decoder but for its cross-attention, which it keeps in float32: `encoder+cross`, 333 M of the 2B's 3.1 G weights.

Deviations from that script:
1. The encoder is kept in float32, too, where it is trained (see `rltf.policies.precision`).
2. Rows of one prompt share its run through encoder and decoder; the gradient is the same, to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from rltf.policies import locate
from rltf.policies import lora as adapters
from rltf.policies.codet5p.config import CodeT5pConfig
from rltf.policies.codet5p.model import CodeT5pEncoderDecoderModel, kept_in_float32
from rltf.policies.codet5p.policy import CodeT5PlusPolicy
from rltf.policies.codet5p.weights import check_memory
from rltf.policies.load import DTYPES, Dtype, Quantization, pretrained, read_config
from rltf.policies.lora import Lora
from rltf.policies.quantization import QUANTIZATIONS, check_quantization
from rltf.validation import OptionError, require

Train = Literal["all", "cross_attention", "encoder+cross"]
TRAINED: dict[str, frozenset[str]] = {
    "all": frozenset(),
    "cross_attention": frozenset(("crossattention", "enc_to_dec_proj")),
    "encoder+cross": frozenset(("crossattention", "enc_to_dec_proj", "encoder")),
}
"""Choice -> modules whose weights learn; none: all."""


def codet5p(
    name: str,
    path: str | None = None,
    train: Train = "all",
    dtype: Dtype = "float32",
    max_prompt_tokens: int = 512,
    dropout: float | None = None,
    rl_dropout: float | None = 0.0,
    gradient_checkpointing: bool = False,
    lora: Lora | Mapping[str, Any] | None = None,
    quantization: Quantization | None = None,
) -> CodeT5PlusPolicy:
    """Loads a model and its tokenizer, without code of the hub.

    Args:
        name: hub id of the weights.
        path: local folder in the Hugging Face layout, which replaces the hub; or one with an adapter of peft.
        train: which weights learn: all; cross_attention, with the projection of the encoder's states before it;
            encoder+cross, everything but the rest of the decoder.
        dtype: type of the weights that do not learn; those that do are float32 unless `train` is all.
        max_prompt_tokens: longest prompt; encoder and decoder both read it.
        dropout: of all layers in supervised training; None: what the weights were made with.
        rl_dropout: of all layers in RL; None: as in supervised training.
        gradient_checkpointing: recompute layers in backward.
        lora: adapters to train in place of the weights.
        quantization: nf4 keeps the linear layers below adapters in 4 bits; see `rltf.policies.load.pretrained`.

    Raises:
        ValueError: what is missing or does not fit, in one sentence with the key.
    """
    require("train", train, choices=TRAINED)
    require("dtype", dtype, choices=DTYPES)
    require("quantization", quantization, choices=QUANTIZATIONS, optional=True)
    base = None if path is None else adapters.base_of(path)
    if train != "all" and (lora is not None or base is not None):
        raise OptionError("train", train, "all, since adapters are trained in place of the weights")
    if quantization is not None:  # before the configuration is read
        check_quantization(quantization, lora is not None or base is not None, None)
    folder = path if base is None else base if Path(base).is_dir() else None
    source = locate.find_weights(base or name, folder)
    config = read_config(source.source, {"local_files_only": source.local_only})
    if not isinstance(config, CodeT5pConfig):
        raise ValueError(
            f"model.path: {path or name} holds a {config.model_type}: expected a CodeT5+ 2B or 6B (codet5p); "
            "model=pretrained takes others"
        )
    if quantization is None:  # else layer by layer goes to a GPU
        check_memory(count_weights(config), DTYPES[dtype])
    with kept_in_float32(TRAINED[train]):
        policy = pretrained(
            name,
            path,
            dtype=dtype,
            max_prompt_tokens=max_prompt_tokens,
            dropout=dropout,
            rl_dropout=rl_dropout,
            gradient_checkpointing=gradient_checkpointing,
            lora=lora,
            quantization=quantization,
        )
    assert isinstance(policy, CodeT5PlusPolicy)
    freeze(policy.model, train)
    return policy


def freeze(model: nn.Module, train: Train) -> None:
    """Leaves gradients to the weights that `train` names; `all` changes nothing."""
    if train == "all":
        return
    for name, weight in model.named_parameters():
        weight.requires_grad_(not TRAINED[train].isdisjoint(name.split(".")))


def count_weights(config: CodeT5pConfig) -> int:
    """Weights of a model, without its memory."""
    with torch.device("meta"):
        model = CodeT5pEncoderDecoderModel(config)
    return sum(weight.numel() for weight in model.parameters())
