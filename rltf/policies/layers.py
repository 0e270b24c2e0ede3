"""Norms and gated activations of a training step on the CPU, forth and back in one pass over memory each.

transformers writes them as five to eight calls of torch, of which each reads and writes all activations. In float32 on
a CPU with few threads they run on compiled kernels (`rltf.policies.decoding.kernels`); everywhere else the layers do
what they always did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rltf.policies.decoding.kernels import Kernels, load

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NORMS = ("LlamaRMSNorm", "Qwen2RMSNorm", "T5LayerNorm")
_GATED = ("LlamaMLP", "Qwen2MLP")
_SILU = ("SiLU", "SiLUActivation")
_kinds: dict[tuple[type, type], type] = {}
_THREADS = 2
"""With more, torch shares these layers out, and a kernel runs on one."""


def speed_up(model: PreTrainedModel) -> None:
    """Lets the norms and gated activations of a Llama, Qwen or T5 type run on kernels where these fit; weights, names
    and results stay as they are."""
    for module in model.modules():
        kind = type(module).__name__
        if kind in _NORMS:
            module.__class__ = _with(Norm, type(module))
        elif kind in _GATED and type(module.act_fn).__name__ in _SILU:
            module.__class__ = _with(Gated, type(module))


class Norm(nn.Module):
    """A root mean square norm; stands before the class that it replaces."""

    weight: Tensor

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        kernels = _kernels_for(hidden_states, self.weight)
        if kernels is None:
            return super().forward(hidden_states)
        return _RMSNorm.apply(hidden_states.contiguous(), self.weight, self.variance_epsilon, kernels)


class Gated(nn.Module):
    """A feed-forward layer with a SiLU gate; stands before the class that it replaces."""

    gate_proj: nn.Module
    up_proj: nn.Module
    down_proj: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        kernels = _kernels_for(x)
        if kernels is None:
            return super().forward(x)
        return self.down_proj(_Gate.apply(self.gate_proj(x), self.up_proj(x), kernels))


class _RMSNorm(torch.autograd.Function):
    """x / sqrt(mean(x^2) + eps) * weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, eps: float, kernels: Kernels) -> Tensor:
        inverse = x.new_empty(x.shape[:-1])
        ctx.save_for_backward(x, weight, inverse)
        ctx.kernels = kernels
        return kernels.rms_norm(x, weight, eps, inverse)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        return (*ctx.kernels.rms_norm_backward(dout.contiguous(), *ctx.saved_tensors), None, None)


class _Gate(torch.autograd.Function):
    """silu(x) * y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, kernels: Kernels) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.kernels = kernels
        return kernels.gate(x, y)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        return (*ctx.kernels.gate_backward(dout.contiguous(), *ctx.saved_tensors), None)


def _with(mixin: type, kind: type) -> Any:
    if (mixin, kind) not in _kinds:
        _kinds[mixin, kind] = type(kind.__name__, (mixin, kind), {})
    return _kinds[mixin, kind]


def _kernels_for(*tensors: Tensor) -> Kernels | None:
    plain = all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
    autocast = torch.is_autocast_enabled("cpu")
    return load() if plain and not autocast and torch.get_num_threads() <= _THREADS else None
