"""Low-rank adapters through peft (an optional extra): a small part of the weights is trained; sampling and export use
them merged."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rltf.policies.quantization import is_quantized, quantized_layers
from rltf.validation import OptionError, import_extra, require

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER_FOLDER = "adapter"
ADAPTER_CONFIG = "adapter_config.json"


@dataclass(frozen=True)
class Lora:
    """Shape of the adapters (Hu et al., 2021).

    Args:
        r: rank of the update, at least 1.
        alpha: the update is scaled by `alpha / r`.
        dropout: of the adapter's input in supervised training, 0 up to 1; in RL it is `rl_dropout` of the model.
        target_modules: the layers that get one, as peft reads it: names, or ends of names; a string is `all-linear` or
            a regular expression of whole names. None: peft's choice for the model's family, else all linear layers.
        use_dora: the update turns the rows of a weight, whose norms are trained beside it (Liu et al., 2024, DoRA,
            equation 5).
        use_rslora: the update is scaled by `alpha / sqrt(r)` instead, for high ranks (Kalajdzievski, 2023).
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: Sequence[str] | str | None = None
    use_dora: bool = False
    use_rslora: bool = False

    def __post_init__(self) -> None:
        require("r", self.r, at_least=1, whole=True)
        require("dropout", self.dropout, at_least=0, below=1)
        for key in ("use_dora", "use_rslora"):
            require(key, getattr(self, key), choices=(True, False))


def add_adapters(model: PreTrainedModel, lora: Lora) -> None:
    """Puts new adapters into the model in place; all its other weights are frozen.

    Raises:
        ValueError: peft is not installed, or `target_modules` fits no layer, or one that can have no adapter.
    """
    peft = import_extra("peft", "model.lora", "lora")
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as FAMILY_TARGETS

    targets = lora.target_modules
    if targets is None:  # decided here: peft would turn either into adapters on the experts of some families
        family = model.config.model_type
        targets = _OWN_TARGETS.get(family) or FAMILY_TARGETS.get(family) or _linear_layers(model)
    source = model.config.name_or_path
    config = peft.LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        target_modules=targets if isinstance(targets, str) else list(targets),
        base_model_name_or_path=(str(Path(source).resolve()) if Path(source).is_dir() else source) or None,
        task_type="SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM",
    )
    _inject(peft, config, model)
    names = [name for name, module in model.named_modules() if _is_lora_layer(module)]
    unused = [] if isinstance(targets, str) else [t for t in targets if not any(_ends(n, t) for n in names)]
    if unused:
        raise OptionError("lora.target_modules", list(targets), f"no {unused[0]}, which fits no layer")


def load_adapters(model: PreTrainedModel, folder: Path) -> None:
    """Puts the adapters of a folder in peft's layout into the model in place, to be trained on; all its other weights
    are frozen.

    Raises:
        ValueError: peft is not installed, or the folder holds another kind of adapter, or one of another model.
    """
    peft = import_extra("peft", "an adapter as model.path", "lora")
    from peft import get_peft_model_state_dict, set_peft_model_state_dict
    from peft.utils.save_and_load import load_peft_weights

    fields = json.loads((folder / ADAPTER_CONFIG).read_text())
    unsupported = [key for key, plain in _PLAIN.items() if fields.get(key, plain) not in (plain, None, [])]
    if unsupported:
        key = unsupported[0]
        raise ValueError(
            f"model.path: {folder / ADAPTER_CONFIG} has {key}={fields[key]!r}: expected LoRA or DoRA without further "
            "weights"
        )
    config = peft.LoraConfig.from_pretrained(str(folder))
    config.inference_mode = False
    _inject(peft, config, model)
    weights = {n.removeprefix(_PREFIX): w for n, w in load_peft_weights(str(folder), device="cpu").items()}
    if weights.keys() != get_peft_model_state_dict(model).keys():
        raise ValueError(
            f"model.path: the adapters of {folder} do not fit the layers of its base, a {type(model).__name__}"
        )
    set_peft_model_state_dict(model, weights)


def base_of(folder: str) -> str | None:
    """What the adapters in a folder were made for, a folder or a hub id; None where the folder holds a model.

    Raises:
        ValueError: the adapters do not say it.
    """
    file = Path(folder).expanduser() / ADAPTER_CONFIG
    if not file.is_file() or file.with_name("config.json").is_file():
        return None
    base: str | None = json.loads(file.read_text()).get("base_model_name_or_path")
    if not base:
        raise ValueError(
            f"model.path: {file} has no base_model_name_or_path: expected the folder or hub id of its base"
        )
    return base


def _inject(peft: Any, config: Any, model: PreTrainedModel) -> None:
    targets = config.target_modules
    targets = sorted(targets) if isinstance(targets, set) else targets
    try:
        with warnings.catch_warnings(action="ignore"):  # of tied weights, which are refused below
            peft.inject_adapter_in_model(config, model)
    except ValueError as error:
        reason = "peft has no adapter for one of them" if "incompatible" in str(error) else "this fits no layer"
        raise OptionError(
            "lora.target_modules",
            targets,
            f"names of linear layers of a {type(model).__name__}, all-linear, or a regular expression of whole names, "
            f"and {reason}",
        ) from None
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if _is_lora_layer(layer):  # log-probs read the head's weight, which embeddings may share
            raise OptionError("lora.target_modules", targets, "layers between embeddings and head")
    if any(hasattr(layer, "parameter_name") for layer in _lora_layers(model)):
        raise OptionError("lora.target_modules", targets, "linear layers alone, and experts are none; name them")
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.float()  # steps of training are lost in half precision


@contextmanager
def merged_adapters(model: nn.Module) -> Iterator[None]:
    """Inside, the base weights hold the adapters' update, and the adapters themselves are switched off. The old values
    are put back, not subtracted back: rounding would drift. Weights in 4 bits could not hold an update: theirs stay
    adapters."""
    layers = [layer for layer in _lora_layers(model) if not is_quantized(layer.get_base_layer().weight)]
    base_weights: list[Tensor] = []
    for layer in layers:
        weight = layer.get_base_layer().weight
        base_weights.append(weight.detach().clone())
        with torch.no_grad():
            weight.copy_(updated_weight(layer, _ADAPTER, base_weights[-1]))
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer, base_weight in zip(layers, base_weights, strict=True):
            layer.enable_adapters(True)
            with torch.no_grad():
                layer.get_base_layer().weight.copy_(base_weight)


def updated_weight(layer: Any, adapter: str, weight: Tensor) -> Tensor:
    """A weight with the update of an adapter, a new tensor of its shape and type.

    Args:
        layer: peft's layer around the linear one.
        adapter: name of the adapter.
        weight: of the linear layer, other adapters' updates included.
    """
    if adapter in layer.lora_variant:  # DoRA, whose norms are those of the weight without any update
        merged_weight: Tensor = layer.lora_variant[adapter].merge_safe(layer, adapter, weight)
        return merged_weight.detach()
    return weight + layer.get_delta_weight(adapter).detach().to(weight.dtype)


def save_model(model: PreTrainedModel, folder: Path) -> None:
    """Writes the model, adapters merged, to `folder`, and the adapters alone to `folder/adapter`. Above weights in 4
    bits, which are those of the base rounded, it writes the adapters alone to `folder`."""
    if not _lora_layers(model):
        model.save_pretrained(folder)
    elif quantized_layers(model):
        _save_adapters(model, folder)
    else:
        with merged_adapters(model):
            merged_weights = {
                name.replace(".base_layer.", "."): tensor
                for name, tensor in model.state_dict().items()
                if ".lora_" not in name
            }
            model.save_pretrained(folder, state_dict=merged_weights)
        _save_adapters(model, folder / ADAPTER_FOLDER)


def _save_adapters(model: PreTrainedModel, folder: Path) -> None:
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    folder.mkdir(exist_ok=True)
    weights = {f"{_PREFIX}{name}": t.contiguous() for name, t in get_peft_model_state_dict(model).items()}
    save_file(weights, folder / "adapter_model.safetensors")
    model.peft_config[_ADAPTER].save_pretrained(folder)


_OWN_TARGETS = {
    "codet5p": ["qkv_proj", "q_attn"],
    "mamba": ["in_proj"],
    "mamba2": ["in_proj"],
    "falcon_mamba": ["in_proj"],
}
"""Layers with adapters in families that peft does not know: those of CodeGen, and cross-attention's queries; and of
state-space layers the only one whose weight nobody reads past the layer (peft refuses `out_proj`)."""
_EXPERT_LAYERS = {"gate_proj", "up_proj", "down_proj", "w1", "w2", "w3"}
"""Names that peft takes for weights of experts, in models where the layers of shared experts have them, too."""
_ADAPTER = "default"
"""peft's name for the only adapter of a model."""


_PREFIX = "base_model.model."
"""What stands before names of weights in a file of peft."""
_PLAIN: dict[str, Any] = {
    "peft_type": "LORA",
    "use_qalora": False,
    "lora_bias": False,
    "modules_to_save": None,
    "bias": "none",
    "trainable_token_indices": None,
    "target_parameters": None,
    "layer_replication": None,
    **dict.fromkeys(("use_bdlora", "arrow_config", "alora_invocation_tokens", "monteclora_config", "velora_config")),
}
"""Fields of an adapter's configuration whose other values add weights that `merged_adapters` does not know."""


def _linear_layers(model: PreTrainedModel) -> list[str]:
    """Last names of all linear layers below the head, but those that may be an expert's."""
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    linear = {n for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D) and m is not head}
    names = {name.rpartition(".")[2] for name in linear}
    has_experts = any(type(module).__name__.endswith("Experts") for module in model.modules())
    return sorted(names - _EXPERT_LAYERS if has_experts else names)


def _lora_layers(model: nn.Module) -> list[Any]:
    return [module for module in model.modules() if _is_lora_layer(module)] if hasattr(model, "peft_config") else []


def _is_lora_layer(module: nn.Module) -> bool:
    from peft.tuners.lora import LoraLayer

    return isinstance(module, LoraLayer)


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")
