"""Low-rank adapters through peft (an optional extra): a small part of the weights is trained; sampling and export use
them merged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rltf.validation import OptionError, import_extra, require

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER_FOLDER = "adapter"


@dataclass(frozen=True)
class Lora:
    """Shape of the adapters (Hu et al., 2021).

    Args:
        r: rank of the update, at least 1.
        alpha: the update is scaled by `alpha / r`.
        dropout: of the adapter's input in supervised training, 0 up to 1; in RL it is `rl_dropout` of the model.
        target_modules: names of the layers that get one; None: peft's choice for the model's family.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: Sequence[str] | None = None

    def __post_init__(self) -> None:
        require("r", self.r, at_least=1, whole=True)
        require("dropout", self.dropout, at_least=0, below=1)
        if "lm_head" in (self.target_modules or ()):
            raise OptionError("target_modules", list(self.target_modules or ()), "layers below the head, lm_head")


def add_adapters(model: PreTrainedModel, lora: Lora) -> None:
    """Puts adapters into the model in place; all its other weights are frozen.

    Raises:
        ValueError: peft is not installed, or a target module does not exist.
    """
    peft = import_extra("peft", "model.lora", "lora")
    config = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=None if lora.target_modules is None else list(lora.target_modules),
        base_model_name_or_path=model.config.name_or_path or None,
        task_type="SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM",
    )
    try:
        peft.inject_adapter_in_model(config, model)
    except ValueError:
        names = "null" if lora.target_modules is None else list(lora.target_modules)
        raise ValueError(
            f"model.lora.target_modules is {names}, which fits no layer of a {type(model).__name__}: expected names of "
            "its linear layers"
        ) from None


@contextmanager
def merged_adapters(model: nn.Module) -> Iterator[None]:
    """Inside, the base weights hold the adapters' update, and the adapters themselves are switched off. The old values
    are put back, not subtracted back: rounding would drift."""
    layers = _lora_layers(model)
    base_weights: list[Tensor] = []
    for layer in layers:
        weight = layer.get_base_layer().weight
        base_weights.append(weight.detach().clone())
        with torch.no_grad():
            weight += layer.get_delta_weight(_ADAPTER).to(weight.dtype)
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer, base_weight in zip(layers, base_weights, strict=True):
            layer.enable_adapters(True)
            with torch.no_grad():
                layer.get_base_layer().weight.copy_(base_weight)


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Writes the model, adapters merged, to `folder`, and the adapters alone to `folder/adapter`."""
    if not _lora_layers(model):
        model.save_pretrained(folder)
        return
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    with merged_adapters(model):
        merged_weights = {
            name.replace(".base_layer.", "."): tensor
            for name, tensor in model.state_dict().items()
            if ".lora_" not in name
        }
        model.save_pretrained(folder, state_dict=merged_weights)
    adapter_folder = folder / ADAPTER_FOLDER
    adapter_folder.mkdir(exist_ok=True)
    weights = {f"base_model.model.{name}": t.contiguous() for name, t in get_peft_model_state_dict(model).items()}
    save_file(weights, adapter_folder / "adapter_model.safetensors")
    model.peft_config[_ADAPTER].save_pretrained(adapter_folder)


_ADAPTER = "default"
"""peft's name for the only adapter of a model."""


def _lora_layers(model: nn.Module) -> list[Any]:
    if not hasattr(model, "peft_config"):
        return []
    from peft.tuners.lora import LoraLayer

    return [module for module in model.modules() if isinstance(module, LoraLayer)]
