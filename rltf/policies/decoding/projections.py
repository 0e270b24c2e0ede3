"""Weights as the decode step wants them: views of the training weights, adapters included."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rltf.policies.kernels import Kernels

if TYPE_CHECKING:
    from rltf.policies.decoding.interfaces import Decoder


def weight(linear: nn.Module) -> Tensor:
    """(in, out): the transposed weight of a linear layer, a view; with LoRA adapters (peft), a new tensor that holds
    their update.

    Raises:
        ValueError: the layer is of another kind, e.g. quantised.
    """
    if type(linear) is nn.Linear:
        return linear.weight.detach().t()
    adapted: Any = linear
    if hasattr(adapted, "get_delta_weight") and type(adapted.get_base_layer()) is nn.Linear:
        total = adapted.get_base_layer().weight.detach()
        if not (adapted.merged or adapted.disable_adapters):
            for adapter in adapted.active_adapters:
                total = total + adapted.get_delta_weight(adapter).detach().to(total.dtype)
        return total.t()
    raise ValueError(
        f"generation=native cannot read a layer of type {type(linear).__name__}: expected torch.nn.Linear, or a LoRA "
        "layer around one; generation=hf works"
    )


def bias(linear: nn.Module) -> Tensor | None:
    """(out,): the bias of a linear layer, if it has one."""
    found = getattr(linear, "bias", None)
    return None if found is None else found.detach()


def project(x: Tensor, weight_IO: Tensor, bias_O: Tensor | None = None) -> Tensor:
    """(A, I) to (A, O)."""
    return torch.mm(x, weight_IO) if bias_O is None else torch.addmm(bias_O, x, weight_IO)


def add_project(residual: Tensor, x: Tensor, weight_IO: Tensor) -> Tensor:
    """The residual (A, O) plus the projection of x (A, I). Weights that are kept in float32 inside a half-precision
    model (T5's `wo`) make the residual float32, as in transformers."""
    if residual.dtype == x.dtype == weight_IO.dtype:
        return torch.addmm(residual, x, weight_IO)
    return residual + torch.mm(x.to(weight_IO.dtype), weight_IO)


class RMSNorm:
    """x / sqrt(mean(x^2) + eps) * weight, in float32 inside, by a compiled kernel or by four small ones of torch.

    Args:
        norm: a module of transformers with `weight` and `variance_epsilon`.
        kernels: compiled ones, for a float32 model; None: torch's.
    """

    def __init__(self, norm: Any, kernels: Kernels | None) -> None:
        scale: Tensor = norm.weight.detach()
        width = scale.shape[0]
        self._kernels, self._plain, self._eps = kernels, scale, norm.variance_epsilon
        self._dtype = scale.dtype
        self._scale = scale.float() * width**0.5
        # mean(x^2) + eps = (|x|^2 + width * eps) / width, and hypot takes that root without another pass over x.
        self._floor = torch.tensor((width * norm.variance_epsilon) ** 0.5, device=scale.device)

    def __call__(self, x: Tensor) -> Tensor:
        """(A, d) to (A, d)."""
        if self._kernels is not None:
            return self._kernels.rms_norm(x, self._plain, self._eps)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        return ((x / torch.hypot(length, self._floor)).mul_(self._scale)).to(self._dtype)


def tensors_of(thing: Any) -> Iterator[Tensor]:
    """The tensors that a decoder, or what belongs to one, reads in a step, always in the same order."""
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, nn.Module):
        yield from (*thing.parameters(), *thing.buffers())
    elif isinstance(thing, list | tuple):
        for part in thing:
            yield from tensors_of(part)
    elif dataclasses.is_dataclass(thing) or type(thing).__module__.startswith("rltf."):
        fields = [field.name for field in dataclasses.fields(thing)] if dataclasses.is_dataclass(thing) else vars(thing)
        for name in fields:
            if name not in ("model", "kernels"):
                yield from tensors_of(getattr(thing, name))


def renew(kept: Decoder, fresh: Decoder) -> bool:
    """Writes what `fresh` has derived from the present weights to where `kept` holds it, so that graphs which read
    there see it; False, and nothing done, if the weights themselves lie elsewhere than they did."""
    if type(kept) is not type(fresh) or kept.model is not fresh.model:
        return False
    olds, news = list(tensors_of(kept)), list(tensors_of(fresh))
    weights = {_storage(weight) for weight in (*fresh.model.parameters(), *fresh.model.buffers())}
    if len(olds) != len(news):
        return False
    for old, new in zip(olds, news, strict=True):
        same_layout = (old.shape, old.stride(), old.dtype, old.device) == (
            new.shape,
            new.stride(),
            new.dtype,
            new.device,
        )
        of_model = _storage(new) in weights
        if not same_layout or of_model != (_storage(old) in weights) or (of_model and old.data_ptr() != new.data_ptr()):
            return False
    for old, new in zip(olds, news, strict=True):
        if _storage(new) not in weights:
            old.copy_(new)
    return True


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def neighbours(heads: int, head_dim: int, device: torch.device) -> Tensor:
    """Order of a projection's outputs (heads * D,) that puts dimension j + D/2 of each head right behind j."""
    pairs = torch.arange(head_dim, device=device).view(2, -1).t().reshape(-1)
    return (torch.arange(heads, device=device)[:, None] * head_dim + pairs).reshape(-1)


def rotate_(x: Tensor, turn: Tensor, kernels: Kernels | None = None) -> None:
    """Turns the first 2 * r dimensions of each head, in place.

    Args:
        x: (A, heads, D), contiguous in D.
        turn: (A, 1, r) complex64.
        kernels: compiled ones, for a float32 x; None: torch's.
    """
    if kernels is not None:
        kernels.rotate_(x, turn)
        return
    part = x[..., : 2 * turn.shape[-1]]
    pairs = torch.view_as_complex(part.float().unflatten(-1, (-1, 2)))
    if x.dtype == torch.float32:
        pairs.mul_(turn)
    else:
        part.copy_(torch.view_as_real(pairs * turn).flatten(-2))
