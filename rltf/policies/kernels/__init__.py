"""The C functions of this folder, called on tensors.

Without a compiler, in half precision, on an accelerator or with many threads, torch's own kernels do the same work.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rltf.policies.kernels.build import library

_log = logging.getLogger(__name__)

LANES = 16
"""Floats of a vector."""
_DECODING_THREADS, _TRAINING_THREADS = 4, 2
"""With more, torch's kernels share the work out, and these run on one."""
_STRIPE = 64
"""Of `training.c`: queries whose attention weights lie in memory at once."""
_CHUNK = 64
"""Of `training.c`: rows whose gradients of a scale are summed before the sum of sums."""


class Store(ctypes.Structure):
    """Of `decoding.c`: keys and values of sequences."""

    _fields_ = (
        ("k", ctypes.c_void_p),
        ("v", ctypes.c_void_p),
        ("sequences", ctypes.c_int64),
        ("heads", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("width", ctypes.c_int64),
        ("padded", ctypes.c_int64),
    )


class Attention(ctypes.Structure):
    """Of `decoding.c`: everything that a step's attention reads; pointers, so the caller keeps the tensors alive."""

    _fields_ = (
        ("own", Store),
        ("given", Store),
        ("age", ctypes.c_void_p),
        ("live", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("prompt", ctypes.c_void_p),
        ("length", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("biases", ctypes.c_int64),
        ("group", ctypes.c_int64),
        ("far", ctypes.c_int64),
        ("scratch", ctypes.c_void_p),
    )


class SelfAttention(ctypes.Structure):
    """Of `training.c`: what self-attention reads and fills."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "bias", "out", "lse")),
        *((name, ctypes.c_int64) for name in ("batch", "heads", "length", "width", "bias_stride", "causal")),
        ("scratch", ctypes.c_void_p),
    )


class Kernels:
    """The functions of the compiled library. All tensors are float32 on the CPU, the last dimension contiguous."""

    def __init__(self, functions: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        signatures = {
            "attend": (pointer, number, pointer, number, pointer, number),
            "rotate": (pointer, number, pointer, number, number, number, number),
            "rms_norm": (pointer, pointer, pointer, pointer, number, number, ctypes.c_float),
            "rms_norm_backward": (pointer, pointer, pointer, pointer, pointer, pointer, number, number),
            "gate": (pointer, pointer, pointer, number),
            "gate_backward": (pointer, pointer, pointer, pointer, pointer, number),
            "attention": (pointer,),
            "attention_backward": (pointer, pointer, pointer, pointer, pointer, pointer),
            "logsumexp": (pointer, pointer, pointer, number, number),
            "probabilities": (pointer, pointer, pointer, number, number),
            "pick": (pointer, pointer, number, pointer, ctypes.c_float, number, number, pointer, pointer, pointer),
        }
        for name, arguments in signatures.items():
            function = getattr(functions, name)
            function.argtypes, function.restype = arguments, None
            setattr(self, f"_{name}", function)
        self._scratch = torch.empty(0)

    _attend: Any
    _rotate: Any
    _rms_norm: Any
    _rms_norm_backward: Any
    _gate: Any
    _gate_backward: Any
    _attention: Any
    _attention_backward: Any
    _logsumexp: Any
    _probabilities: Any
    _pick: Any

    def attend(self, attention: Attention, layer: int, x: Tensor, out: Tensor) -> Tensor:
        """Attention of the rows' present tokens: x (A, queries, then keys and values), out (A, H*R*D)."""
        rows = x.shape[0]
        self._attend(ctypes.addressof(attention), layer, x.data_ptr(), x.stride(0), out.data_ptr(), rows)
        return out[:rows]

    def rotate_(self, x: Tensor, turn: Tensor) -> None:
        """Turns neighbouring dimensions of x (A, heads, D) in place by turn (A, 1, r) complex."""
        rows, heads, width = x.shape
        self._rotate(x.data_ptr(), x.stride(0), turn.data_ptr(), rows, heads, width, turn.shape[-1])

    def rms_norm(self, x: Tensor, scale: Tensor, eps: float, inverse: Tensor | None = None) -> Tensor:
        """x (..., d) / sqrt(mean(x^2) + eps) * scale (d,). `inverse` (...) is filled with what backward wants."""
        out, width = torch.empty_like(x), x.shape[-1]
        kept = inverse.data_ptr() if inverse is not None else None
        self._rms_norm(x.data_ptr(), scale.data_ptr(), out.data_ptr(), kept, x.numel() // width, width, eps)
        return out

    def rms_norm_backward(self, dout: Tensor, x: Tensor, scale: Tensor, inverse: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of x and scale."""
        dx, width, rows = torch.empty_like(x), x.shape[-1], x.numel() // x.shape[-1]
        sums = x.new_zeros(-(-rows // _CHUNK), width)
        self._rms_norm_backward(*(tensor.data_ptr() for tensor in (dout, x, scale, inverse, dx, sums)), rows, width)
        return dx, sums.sum(0)

    def gate(self, x: Tensor, y: Tensor) -> Tensor:
        """silu(x) * y, of one shape."""
        out = torch.empty_like(x)
        self._gate(x.data_ptr(), y.data_ptr(), out.data_ptr(), x.numel())
        return out

    def gate_backward(self, dout: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Gradients of x and y."""
        dx, dy = torch.empty_like(x), torch.empty_like(y)
        self._gate_backward(*(tensor.data_ptr() for tensor in (dout, x, y, dx, dy)), x.numel())
        return dx, dy

    def attention(
        self, q_BTE: Tensor, k_BTE: Tensor, v_BTE: Tensor, bias: Tensor, causal: bool
    ) -> tuple[Tensor, Tensor]:
        """Self-attention of B sequences of T tokens and H heads, E numbers to a token, E / H a multiple of `LANES`.

        Args:
            q_BTE, k_BTE, v_BTE: projected, the heads side by side; all contiguous.
            bias: (B or 1, H, T, T), added to the scores, which are not scaled.
            causal: whether no query sees what comes after it.

        Returns:
            out_BTE, and the log-sum-exp of the scores, (B, H, T), for backward.
        """
        out_BTE = torch.empty_like(q_BTE)
        lse_BHT = q_BTE.new_empty(q_BTE.shape[0], bias.shape[1], q_BTE.shape[1])
        call, _scratch = _self_attention(q_BTE, k_BTE, v_BTE, bias, causal, out_BTE, lse_BHT)
        self._attention(ctypes.addressof(call))
        return out_BTE, lse_BHT

    def attention_backward(
        self, dout_BTE: Tensor, saved: tuple[Tensor, ...], causal: bool, to_bias: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Gradients of q, k, v and, where wanted, bias; `saved`: q, k, v, bias, out, lse."""
        q_BTE, k_BTE, v_BTE, bias, out_BTE, lse_BHT = saved
        call, _scratch = _self_attention(q_BTE, k_BTE, v_BTE, bias, causal, out_BTE, lse_BHT)
        dq, dk, dv = (torch.empty_like(tensor) for tensor in (q_BTE, k_BTE, v_BTE))
        dbias = torch.zeros_like(bias) if to_bias else None
        pointers = [tensor.data_ptr() for tensor in (dout_BTE, dq, dk, dv)]
        self._attention_backward(ctypes.addressof(call), *pointers, None if dbias is None else dbias.data_ptr())
        return dq, dk, dv, dbias

    def logsumexp(self, x_NK: Tensor, with_entropy: bool) -> tuple[Tensor, Tensor | None]:
        """log(sum(e^x)) of each row, (N, 1), and where wanted the entropy of its softmax, (N, 1)."""
        lse_N1 = x_NK.new_empty(len(x_NK), 1)
        entropy_N1 = torch.empty_like(lse_N1) if with_entropy else None
        kept = None if entropy_N1 is None else entropy_N1.data_ptr()
        self._logsumexp(x_NK.data_ptr(), lse_N1.data_ptr(), kept, *x_NK.shape)
        return lse_N1, entropy_N1

    def probabilities(self, x_NK: Tensor, lse_N1: Tensor, out_NK: Tensor) -> Tensor:
        """out = e^(x - lse); it may be x itself."""
        self._probabilities(x_NK.data_ptr(), lse_N1.data_ptr(), out_NK.data_ptr(), *x_NK.shape)
        return out_NK

    def sample_tokens(
        self, logits_BV: Tensor, uniform_B: Tensor, temperature: float, greedy_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens and log-probs as `rltf.generation.sampling.sample_tokens` gives them, where nothing is truncated."""
        rows, vocabulary = logits_BV.shape
        if self._scratch.numel() < 2 * vocabulary + LANES + 1:
            self._scratch = torch.empty(2 * vocabulary + LANES + 1)
        greedy_B = torch.zeros(rows, dtype=torch.bool) if greedy_B is None else greedy_B
        token_B, logprob_B = torch.empty(rows, dtype=torch.long), torch.empty(rows)
        self._pick(
            logits_BV.data_ptr(),
            uniform_B.data_ptr(),
            uniform_B.stride(0),
            greedy_B.data_ptr(),
            temperature,
            rows,
            vocabulary,
            self._scratch.data_ptr(),
            token_B.data_ptr(),
            logprob_B.data_ptr(),
        )
        return token_B, logprob_B


def kernels_for(model: Any) -> Kernels | None:
    """The kernels, where they fit a decoder: all weights float32 on the CPU, and few torch threads."""
    return load() if _plain(model.parameters()) and torch.get_num_threads() <= _DECODING_THREADS else None


def usable(*tensors: Tensor) -> Kernels | None:
    """The kernels, where they fit these tensors of a training step: float32 on the CPU, and few torch threads."""
    return load() if _plain(tensors) and torch.get_num_threads() <= _TRAINING_THREADS else None


@cache
def load() -> Kernels | None:
    """The kernels; None, said in the log, where they cannot be compiled."""
    try:
        return Kernels(library())
    except OSError as error:
        _log.info("decoding and training go without compiled kernels: %s", error)
        return None


def _self_attention(
    q_BTE: Tensor, k_BTE: Tensor, v_BTE: Tensor, bias: Tensor, causal: bool, out_BTE: Tensor, lse_BHT: Tensor
) -> tuple[SelfAttention, Tensor]:
    """The call, and its scratch memory, which the caller keeps alive."""
    batch, heads, length = lse_BHT.shape
    width = q_BTE.shape[-1] // heads
    room = -(-length // LANES) * LANES
    scratch = torch.empty(2 * room * width + 2 * _STRIPE * room + 4 * width)
    pointers = [tensor.data_ptr() for tensor in (q_BTE, k_BTE, v_BTE, bias, out_BTE, lse_BHT)]
    stride = 0 if len(bias) == 1 else heads * length * length
    return SelfAttention(*pointers, batch, heads, length, width, stride, causal, scratch.data_ptr()), scratch


def _plain(tensors: Iterable[Tensor]) -> bool:
    return all(tensor.dtype == torch.float32 and tensor.device.type == "cpu" for tensor in tensors)
