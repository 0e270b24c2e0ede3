"""Weights in the layout of the decode step, adapters included, and the arithmetic on them: projections, norm, rotary
positions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rltf.policies.kernels import Kernels
from rltf.policies.lora import updated_weight

if TYPE_CHECKING:
    from rltf.policies.decoding.interfaces import Decoder


def transposed_weight(linear: nn.Module) -> Tensor:
    """The weight of a linear layer as (in, out), a view; with LoRA adapters (peft), a new tensor that holds their
    update.

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
                total = updated_weight(adapted, adapter, total)
        return total.t()
    raise ValueError(
        f"generation=native cannot read a layer of type {type(linear).__name__}: expected torch.nn.Linear, or a LoRA "
        "layer around one; generation=auto and generation=hf work"
    )


def bias_or_none(linear: nn.Module) -> Tensor | None:
    """The bias of a linear layer, (out,), if it has one."""
    bias: Tensor | None = getattr(linear, "bias", None)
    return None if bias is None else bias.detach()


def joined_weight(weights: Sequence[Tensor], kernels: Kernels | None) -> Tensor:
    """Weights (in, out) side by side as one, in the layout that the step multiplies fastest with.

    Args:
        weights: of one input width.
        kernels: compiled ones, for a float32 model; None: torch's.
    """
    if kernels is not None and kernels.is_large(sum(weight_IO.numel() for weight_IO in weights)):
        return torch.cat([weight_IO.t() for weight_IO in weights]).t()
    return torch.cat(list(weights), 1)


def apply_linear(x: Tensor, weight_IO: Tensor, bias_O: Tensor | None = None, kernels: Kernels | None = None) -> Tensor:
    """x @ weight + bias: (A, I) to (A, O); by the compiled kernels of a float32 model, where they are faster."""
    if kernels is not None and kernels.multiplies(x.shape[0], weight_IO):
        return kernels.project(x, weight_IO, bias_O)
    return torch.mm(x, weight_IO) if bias_O is None else torch.addmm(bias_O, x, weight_IO)


def add_linear(residual: Tensor, x: Tensor, weight_IO: Tensor, kernels: Kernels | None = None) -> Tensor:
    """The residual (A, O) plus the projection of x (A, I), as `apply_linear` computes it. Weights that are kept in
    float32 inside a half-precision model (T5's `wo`) make the residual float32, as in transformers."""
    if kernels is not None and kernels.multiplies(x.shape[0], weight_IO):
        return kernels.project(x, weight_IO, residual)
    if residual.dtype == x.dtype == weight_IO.dtype:
        return torch.addmm(residual, x, weight_IO)
    return residual + torch.mm(x.to(weight_IO.dtype), weight_IO)


class RMSNorm:
    """x / sqrt(mean(x^2) + eps) * weight, in float32 inside, by a compiled kernel or by four small ones of torch.

    Args:
        norm: a module of transformers with `weight`, and `variance_epsilon` or `eps`.
        kernels: compiled ones, for a float32 model; None: torch's.
        offset: is added to the weight.
    """

    def __init__(self, norm: Any, kernels: Kernels | None, offset: float = 0.0) -> None:
        weight: Tensor = norm.weight.detach()
        scale = weight.float() + offset if offset else weight
        width = scale.shape[0]
        self._kernels, self._plain, self._eps = kernels, scale, _epsilon(norm)
        self._dtype = weight.dtype
        self._scale = scale.float() * width**0.5
        # mean(x^2) + eps = (|x|^2 + width * eps) / width, and hypot takes that root without another pass over x.
        self._floor = torch.tensor((width * self._eps) ** 0.5, device=scale.device)

    def __call__(self, x: Tensor) -> Tensor:
        """(A, d) to (A, d)."""
        if self._kernels is not None:
            return self._kernels.rms_norm(x, self._plain, self._eps)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32)
        return ((x / torch.hypot(length, self._floor)).mul_(self._scale)).to(self._dtype)


class PartsNorm:
    """`RMSNorm` in place of queries or keys, of each head or, where its weight is as wide, of all heads as one.

    Args:
        norm: a module of transformers with `weight`, and `variance_epsilon` or `eps`.
        kernels: compiled ones, for a float32 model; None: torch's.
        order: of the projection's outputs, (heads * D,), as `interleaved_order` gives it.
        offset: is added to the weight.
        factor: multiplies the result.
    """

    def __init__(self, norm: Any, kernels: Kernels | None, order: Tensor, offset: float, factor: float = 1.0) -> None:
        weight: Tensor = norm.weight.detach()
        self._kernels, self._eps = kernels, _epsilon(norm)
        # Of one head's weight, the first head's order.
        self._scale = (weight.float() + offset)[order[: weight.shape[0]]] * factor

    def __call__(self, x: Tensor) -> None:
        """(A, heads, D), contiguous but for the rows."""
        if self._kernels is not None:
            self._kernels.rms_norm_parts_(x, self._scale, self._eps)
            return
        parts = x.flatten(1).unflatten(1, (-1, self._scale.shape[0]))
        wide = parts.float()
        parts.copy_(wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self._eps) * self._scale)


def _epsilon(norm: Any) -> float:
    epsilon: float = norm.variance_epsilon if hasattr(norm, "variance_epsilon") else norm.eps
    return epsilon


def soft_cap(x: Tensor, cap: float) -> Tensor:
    """cap * tanh(x / cap)."""
    return torch.tanh(x / cap) * cap


def step_tensors(owner: Any) -> Iterator[Tensor]:
    """Yields the tensors that a decoder, a cache or a part of one holds between steps, always in the same order."""
    if isinstance(owner, Tensor):
        yield owner
    elif isinstance(owner, nn.Module):
        yield from (*owner.parameters(), *owner.buffers())
    elif isinstance(owner, list | tuple):
        for part in owner:
            yield from step_tensors(part)
    elif dataclasses.is_dataclass(owner):
        yield from _attribute_tensors(owner, [field.name for field in dataclasses.fields(owner)])
    elif type(owner).__module__.startswith("rltf."):
        yield from _attribute_tensors(owner, list(vars(owner)))


def _attribute_tensors(owner: Any, names: list[str]) -> Iterator[Tensor]:
    for name in names:
        if name not in ("model", "kernels"):
            yield from step_tensors(getattr(owner, name))


def copy_derived_weights(source: Decoder, target: Decoder) -> bool:
    """Copies the tensors that `source` has derived from the present weights to where `target` holds its own, so that
    graphs which read there see them. False, with nothing copied, if the weights themselves lie at another place than
    `target` reads them."""
    if type(source) is not type(target) or source.model is not target.model:
        return False
    pairs = list(zip_longest(step_tensors(target), step_tensors(source)))
    weights = {_storage(weight) for weight in (*source.model.parameters(), *source.model.buffers())}
    if any(old is None or new is None or not _replaceable(old, new, weights) for old, new in pairs):
        return False
    for old, new in pairs:
        if _storage(new) not in weights:
            old.copy_(new)
    return True


def _replaceable(old: Tensor, new: Tensor, weights: set[int]) -> bool:
    """Whether `new` may be copied to `old`, or needs no copy, as both are the same weight at the same place."""
    layouts = [(tensor.shape, tensor.stride(), tensor.dtype, tensor.device) for tensor in (old, new)]
    if layouts[0] != layouts[1] or (_storage(new) in weights) != (_storage(old) in weights):
        return False
    return _storage(new) not in weights or old.data_ptr() == new.data_ptr()


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def interleaved_order(heads: int, head_dim: int, device: torch.device, rotated: int | None = None) -> Tensor:
    """Order of a projection's outputs (heads * D,) that puts dimension j + r/2 of each head right behind j, for the r
    dimensions that rotate: the first `rotated`, or all."""
    rotated = head_dim if rotated is None else rotated
    pairs = torch.arange(rotated, device=device).view(2, -1).t().reshape(-1)
    order = torch.cat([pairs, torch.arange(rotated, head_dim, device=device)])
    return (torch.arange(heads, device=device)[:, None] * head_dim + order).reshape(-1)


def apply_rotary_(x: Tensor, rotation: Tensor, kernels: Kernels | None = None) -> None:
    """Rotates the first 2 * r dimensions of each head by its position, in place.

    Args:
        x: (A, heads, D), contiguous in D.
        rotation: (A, 1, r) complex64.
        kernels: compiled ones, for a float32 x; None: torch's.
    """
    if kernels is not None:
        kernels.rotate_(x, rotation)
        return
    part = x[..., : 2 * rotation.shape[-1]]
    pairs = torch.view_as_complex(part.float().unflatten(-1, (-1, 2)))
    if x.dtype == torch.float32:
        pairs.mul_(rotation)
    else:
        part.copy_(torch.view_as_real(pairs * rotation).flatten(-2))
