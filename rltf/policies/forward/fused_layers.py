"""Norms, gated activations and T5's self-attention on the CPU.

transformers writes them as five to twelve calls of torch, of which each reads and writes all activations. In float32 on
a CPU with few threads they run on compiled kernels (`rltf.policies.kernels`) and in fewer calls; everywhere else, and
where keys and values come from a cache, the layers do what they always did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from rltf.policies.kernels import LANES, Kernels, usable

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NORMS = ("LlamaRMSNorm", "Qwen2RMSNorm", "T5LayerNorm")
_GATED = ("LlamaMLP", "Qwen2MLP")
_BIASED = ("T5Attention",)
_SILU = ("SiLU", "SiLUActivation")
_kinds: dict[tuple[type, type], type] = {}


def speed_up(model: PreTrainedModel) -> None:
    """Lets such layers of a Llama, Qwen or T5 type take the short way where it is open; weights, names and results stay
    as they are."""
    for module in model.modules():
        kind = type(module).__name__
        if isinstance(module, Norm | Gated | BiasedAttention):
            continue  # a policy has been made of this model before
        if kind in _NORMS:
            module.__class__ = _with(Norm, type(module))
        elif kind in _GATED and type(module.act_fn).__name__ in _SILU:
            module.__class__ = _with(Gated, type(module))
        elif kind in _BIASED:
            module.__class__ = _with(BiasedAttention, type(module))


class Norm(nn.Module):
    """A root mean square norm; stands before the class that it replaces."""

    weight: Tensor

    def forward(self, hidden_states: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        kernels = _kernels_for(hidden_states, self.weight)
        if kernels is None:
            return super().forward(hidden_states)
        return _RMSNorm.apply(hidden_states.contiguous(), self.weight.contiguous(), self.variance_epsilon, kernels)


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
        return self.down_proj(_Gate.apply(self.gate_proj(x).contiguous(), self.up_proj(x).contiguous(), kernels))


class BiasedAttention(nn.Module):
    """T5's self-attention; stands before the class that it replaces. Its bias has a gradient, which torch's fused
    attention does not know on a CPU: there it falls back to a dozen calls that guard against rows which see nothing,
    and T5 has none. H heads, T tokens."""

    q: nn.Module
    k: nn.Module
    v: nn.Module
    o: Any
    n_heads: int
    key_value_proj_dim: int
    is_decoder: bool
    dropout: float
    compute_bias: Any

    def forward(
        self,
        hidden_states: Tensor,
        mask: Tensor | None = None,
        key_value_states: Tensor | None = None,
        position_bias: Tensor | None = None,
        past_key_values: Any = None,
        **options: Any,
    ) -> tuple[Any, ...]:
        """As `T5Attention.forward`; (B, T, D) to (B, T, D)."""
        own = key_value_states is None and past_key_values is None
        drops = self.training and self.dropout > 0
        kernels = _kernels_for(hidden_states, self.o.weight)
        if not own or drops or kernels is None or self.key_value_proj_dim % LANES:
            return super().forward(hidden_states, mask, key_value_states, position_bias, past_key_values, **options)
        if position_bias is None:  # the first layer; the others get what it returns
            position_bias = self._bias(mask, hidden_states).contiguous()
        query, key, value = (part(hidden_states).contiguous() for part in (self.q, self.k, self.v))
        causal = mask is None and self.is_decoder
        return self.o(_Attention.apply(query, key, value, position_bias, causal, kernels)), position_bias, None

    def _bias(self, mask: Tensor | None, like: Tensor) -> Tensor:
        """What is added to the scores: T5's bias of distances, and the lowest number where nothing is to be seen."""
        length, lowest = like.shape[1], torch.finfo(like.dtype).min
        bias = self.compute_bias(length, length, device=like.device)
        if mask is None and self.is_decoder:
            mask = torch.ones(length, length, dtype=torch.bool, device=like.device).tril()
        if mask is None:
            return bias
        return bias.masked_fill(~mask, lowest) if mask.dtype == torch.bool else bias + mask


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


class _Attention(torch.autograd.Function):
    """softmax(q k^T + bias) v."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, causal: bool, kernels: Kernels) -> Tensor:
        out, lse = kernels.attention(q, k, v, bias, causal)
        ctx.save_for_backward(q, k, v, bias, out, lse)
        ctx.kernels, ctx.causal = kernels, causal
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dout: Tensor) -> tuple[Tensor | None, ...]:
        to_bias = ctx.needs_input_grad[3]
        return (*ctx.kernels.attention_backward(dout.contiguous(), ctx.saved_tensors, ctx.causal, to_bias), None, None)


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
    return None if torch.is_autocast_enabled("cpu") else usable(*tensors)
