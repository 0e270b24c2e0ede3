"""A frozen base in 4 bits below adapters (QLoRA; Dettmers et al., 2023, arXiv 2305.14314), by bitsandbytes (an optional
extra).

Linear layers are kept in NF4: the nearest of 16 quantiles of a normal distribution, times the largest magnitude of each
64 weights (section 3). These magnitudes are kept in 8 bits in turn (double quantisation). A layer's weight is made
whole when the layer runs, and gradients pass through it to the adapters below. Embeddings, norms and head stay as they
are: log-probs read the head's weight.

Deviations from the paper:
1. Products are of the run's precision (`trainer.precision=bf16-mixed` in training, else `model.dtype`); the paper's are
   always bfloat16.
2. Adapters are by default on the layers of peft's choice; the paper has them on all linear layers
   (`model.lora.target_modules=all-linear`).
3. There is no paged optimiser: only adapters have moments.
4. T5 types keep their layers `wo` whole, since transformers does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rltf.policies.compat import replace_forward
from rltf.validation import OptionError, import_extra, sentence_of

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

QUANTIZATIONS = ("nf4",)
"""Values of `model.quantization`."""
_METHOD = "bitsandbytes"


def check_quantization(quantization: str, adapted: bool, gguf_file: str | None) -> torch.device:
    """The device on which weights in 4 bits are loaded.

    Args:
        quantization: one of `QUANTIZATIONS`.
        adapted: whether adapters are trained.
        gguf_file: as of `rltf.policies.load.pretrained`.

    Raises:
        ValueError: nothing would be trained, or bitsandbytes or a CUDA device is missing.
    """
    if not adapted:
        raise OptionError(
            "quantization", quantization, "null, or adapters to train on such weights (model.lora={r: 16})"
        )
    if gguf_file is not None:
        raise OptionError("quantization", quantization, f"null, since {gguf_file} is quantised otherwise already")
    device = cuda_device()
    if device is None:
        raise OptionError("quantization", quantization, "null without a CUDA device, and torch finds none here")
    import_extra(_METHOD, "model.quantization", "qlora")
    return device


def cuda_device() -> torch.device | None:
    """The CUDA device of this process; None where torch finds none."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0))) if torch.cuda.is_available() else None


def loading_options(
    quantization: str | None, config: PretrainedConfig, source: str, dtype: torch.dtype, device: torch.device | None
) -> dict[str, Any]:
    """Keywords of `from_pretrained` that keep linear layers in 4 bits; none where `quantization` is None.

    Args:
        quantization: one of `QUANTIZATIONS`.
        config: of the weights, which may be in 4 bits already.
        source: where they are from, for messages.
        dtype: of what is not quantised.
        device: to load to.

    Raises:
        ValueError: the weights are quantised already, and in another way than `quantization` says.
    """
    stored = _stored_quantization(config)
    if stored not in (None, quantization) and (quantization is not None or stored in QUANTIZATIONS):
        expected = f"{stored}, as these are" if stored in QUANTIZATIONS else "null"
        raise ValueError(
            f"model.path: the weights of {source} are quantised already ({stored}) and model.quantization is "
            f"{quantization or 'null'}: expected weights in full precision, or model.quantization={expected}"
        )
    if quantization is None:
        return {}
    from transformers import BitsAndBytesConfig

    options = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=quantization,
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    return {"device_map": {"": device}, **({} if stored is not None else {"quantization_config": options})}


def _stored_quantization(config: PretrainedConfig) -> str | None:
    """How stored weights are quantised, one of `QUANTIZATIONS` or a name of transformers; None: they are not."""
    stored = getattr(config, "quantization_config", None)
    if stored is None:
        return None
    fields = stored if isinstance(stored, dict) else stored.to_dict()
    method = str(getattr(fields.get("quant_method"), "value", fields.get("quant_method")))
    if method == _METHOD and fields.get("load_in_4bit", fields.get("_load_in_4bit")):
        return str(fields.get("bnb_4bit_quant_type", "fp4"))
    return method


def compute_in_run_precision(model: PreTrainedModel, quantization: str) -> None:
    """Gives layers in 4 bits a forward pass in the precision of the run, as other linear layers have it.

    Raises:
        ValueError: there are none, or the head is one.
    """
    layers, name = quantized_layers(model), type(model).__name__
    if not layers:
        raise OptionError("quantization", quantization, f"null, since it applies to no layer of a {name}")
    if model.get_output_embeddings() in layers:
        raise OptionError("quantization", quantization, f"null, since it applies to the head of a {name}")
    for layer in layers:
        replace_forward(layer, _layer_class())


@contextmanager
def refused_if_unfit(model: PreTrainedModel, quantization: str | None) -> Iterator[None]:
    """Inside, a forward pass that is refused is the user's mistake: layers of some families read weights of others
    themselves, and packed ones have another shape and type.

    Raises:
        ValueError: it was refused, and the weights are in 4 bits.
    """
    try:
        yield
    except RuntimeError as error:
        if quantization is None:
            raise
        name = type(model).__name__
        raise OptionError(
            "quantization", quantization, f"null, since a {name} reads weights past their layers ({sentence_of(error)})"
        ) from error


@cache
def _layer_class() -> type[nn.Module]:
    import bitsandbytes

    class NF4Linear(bitsandbytes.nn.Linear4bit):
        """bitsandbytes' layer, whose own forward pass takes the type of products from when it was made, does not know
        autocast, rounds its bias for good in half precision, and packs its weight anew on some CPUs."""

        def forward(self, x: Tensor) -> Tensor:
            """(..., in) to (..., out)."""
            if not x.is_floating_point():  # LongT5 turns inputs into the type of a weight, here that of packed bytes
                raise RuntimeError(f"an input is made {str(x.dtype).removeprefix('torch.')}")
            device = x.device.type
            dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
            bias = None if self.bias is None else self.bias.to(dtype)
            out: Tensor = bitsandbytes.matmul_4bit(x.to(dtype), self.weight.t(), self.weight.quant_state, bias=bias)
            return out

    return NF4Linear


def is_quantized(weight: Tensor) -> bool:
    """Whether a weight is kept in 4 bits, packed in bytes."""
    return getattr(weight, "quant_state", None) is not None


def quantized_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a model that are kept in 4 bits, without those that adapters put around them."""
    return [module for module in model.modules() if any(map(is_quantized, module.parameters(recurse=False)))]


def weight_count(weight: Tensor) -> int:
    """Weights in a tensor, which may be packed."""
    return weight.quant_state.shape.numel() if is_quantized(weight) else weight.numel()  # type: ignore[attr-defined]


def shared_by_copies(model: nn.Module) -> dict[int, Any]:
    """What copies of a model can have in common, by `id`, as `copy.deepcopy` takes it: weights in 4 bits, which nothing
    ever writes."""
    weights = [weight for weight in model.parameters() if is_quantized(weight)]
    states: list[Any] = [weight.quant_state for weight in weights]  # type: ignore[attr-defined]
    return {id(part): part for part in (*weights, *states)}
