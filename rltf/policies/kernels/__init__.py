"""The C functions of this folder, called on tensors: what a decode step does between its matrix products, and those
products whose weights are large.

Without a compiler, in half precision, on an accelerator or with many threads, torch's own kernels do the same work.
"""

from __future__ import annotations

import ctypes
import logging
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rltf.policies.kernels.build import library

_log = logging.getLogger(__name__)

LANES = 16
"""Floats of a vector."""
_MAX_THREADS = 4
"""With more, torch's kernels share the work among them, and these run on one."""
_GROUP, _OUTPUTS = 16, 768
"""As in `projection.h`."""
_LARGE = 1 << 17
"""Numbers of a weight from which on `project` is faster for few rows: half a MiB, the second cache of a core. A smaller
weight stays there from step to step, and torch multiplies it as fast or faster."""
_ROWS = range(3, 97)
"""Rows that are few. On AVX2, torch's product took 1.1 to 2.4 times as long for 4 to 64 of them, and as long for 1 and
for 128."""


class KVStore(ctypes.Structure):
    """Keys and values of sequences; see `decoding.c`."""

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
    """Everything that a step's attention reads; see `decoding.c`. Pointers, so the caller keeps the tensors alive."""

    _fields_ = (
        ("row_kv", KVStore),
        ("prompt_kv", KVStore),
        ("column", ctypes.c_void_p),
        ("live", ctypes.c_void_p),
        ("order", ctypes.c_void_p),
        ("prompt", ctypes.c_void_p),
        ("length", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("biases", ctypes.c_int64),
        ("bias_stride", ctypes.c_int64),
        ("window", ctypes.c_void_p),
        ("cap", ctypes.c_float),
        ("group", ctypes.c_int64),
        ("prefetch", ctypes.c_int64),
        ("scratch", ctypes.c_void_p),
    )


class Kernels:
    """The functions of the compiled library. All tensors are float32 on the CPU, the last dimension contiguous."""

    def __init__(self, functions: ctypes.CDLL) -> None:
        pointer, number = ctypes.c_void_p, ctypes.c_int64
        sizes_and_outputs = (ctypes.c_float, number, number, pointer, pointer, pointer)
        signatures = {
            "attend": (pointer, number, pointer, number, pointer, number),
            "rotate": (pointer, number, pointer, number, number, number, number),
            "project": (pointer, number, pointer, pointer, number, pointer, number, number, number, pointer),
            "rms_norm": (pointer, pointer, pointer, number, number, ctypes.c_float),
            "rms_norm_parts": (pointer, number, pointer, number, number, number, ctypes.c_float),
            "sample_tokens": (pointer, pointer, number, pointer, *sizes_and_outputs),
        }
        for name, arguments in signatures.items():
            function = getattr(functions, name)
            function.argtypes, function.restype = arguments, None
            setattr(self, f"_{name}", function)
        self._scratch = self._product_scratch = torch.empty(0)

    _attend: Any
    _rotate: Any
    _project: Any
    _rms_norm: Any
    _rms_norm_parts: Any
    _sample_tokens: Any

    def attend(self, attention: Attention, layer: int, x: Tensor, out: Tensor) -> Tensor:
        """Attention of the rows' present tokens: x (A, queries, then keys and values), out (A, H*R*D)."""
        rows = x.shape[0]
        self._attend(ctypes.addressof(attention), layer, x.data_ptr(), x.stride(0), out.data_ptr(), rows)
        return out[:rows]

    def rotate_(self, x: Tensor, rotation: Tensor) -> None:
        """Rotates pairs of neighbouring dimensions of x (A, heads, D) in place by rotation (A, 1, r), complex."""
        rows, heads, width = x.shape
        self._rotate(x.data_ptr(), x.stride(0), rotation.data_ptr(), rows, heads, width, rotation.shape[-1])

    @staticmethod
    def is_large(count: int) -> bool:
        """Whether `project` may be the faster way to multiply with a weight of so many numbers."""
        return count >= _LARGE

    def multiplies(self, rows: int, weight_IO: Tensor) -> bool:
        """Whether `project` is the faster way to multiply this many rows, while torch has one thread."""
        return (
            self.is_large(weight_IO.numel())
            and rows in _ROWS
            and weight_IO.t().is_contiguous()
            and torch.get_num_threads() == 1
        )

    def project(self, x: Tensor, weight_IO: Tensor, base: Tensor | None = None) -> Tensor:
        """x @ weight + base: x (A, I), base (A, O) or (O,); where `multiplies`."""
        rows, width = x.shape
        outputs = weight_IO.shape[1]
        out = torch.empty(rows, outputs)
        size = -(-rows // _GROUP) * _GROUP * (width + _OUTPUTS)
        if self._product_scratch.numel() < size:
            self._product_scratch = torch.empty(size)
        self._project(
            x.data_ptr(),
            x.stride(0),
            weight_IO.data_ptr(),
            None if base is None else base.data_ptr(),
            0 if base is None or base.dim() == 1 else base.stride(0),
            out.data_ptr(),
            rows,
            width,
            outputs,
            self._product_scratch.data_ptr(),
        )
        return out

    def rms_norm(self, x: Tensor, scale: Tensor, eps: float) -> Tensor:
        """x (..., d) / sqrt(mean(x^2) + eps) * scale (d,)."""
        out, width = torch.empty_like(x), x.shape[-1]
        self._rms_norm(x.data_ptr(), scale.data_ptr(), out.data_ptr(), x.numel() // width, width, eps)
        return out

    def rms_norm_parts_(self, x: Tensor, scale: Tensor, eps: float) -> None:
        """`rms_norm` in place of the pieces of x (A, heads, D) that are as wide as `scale`."""
        rows, heads, head_dim = x.shape
        width = scale.shape[0]
        parts = heads * head_dim // width
        self._rms_norm_parts(x.data_ptr(), x.stride(0), scale.data_ptr(), rows, parts, width, eps)

    def sample_tokens(
        self, logits_BV: Tensor, uniform_B: Tensor, temperature: float, greedy_B: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Tokens and log-probs as those of `rltf.generation.token_sampling`, where nothing is truncated."""
        rows, vocabulary = logits_BV.shape
        if self._scratch.numel() < 2 * vocabulary + LANES + 1:
            self._scratch = torch.empty(2 * vocabulary + LANES + 1)
        greedy_B = torch.zeros(rows, dtype=torch.bool) if greedy_B is None else greedy_B
        token_B, logprob_B = torch.empty(rows, dtype=torch.long), torch.empty(rows)
        self._sample_tokens(
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
    weights_fit = all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in model.parameters())
    return load() if weights_fit and torch.get_num_threads() <= _MAX_THREADS else None


@cache
def load() -> Kernels | None:
    """The kernels; None, with a remark in the log, where they cannot be compiled."""
    try:
        return Kernels(library())
    except OSError as error:
        _log.info("decoding goes without compiled kernels: %s", error)
        return None
