"""Attention by the compiled kernels: each row counts its own tokens, so nothing is masked or read in vain."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from rltf.policies.decoding.interfaces import Cache, Decoder, PromptCache, StepShape
from rltf.policies.kernels import LANES, Attention, Kernels, KVStore

_PREFETCH_BYTES = 8 << 20
"""Size of the rows' keys and values from which prefetching them made attention a quarter faster; below it cost a
tenth."""


class _Blocks:
    """Keys and values of sequences, as `decoding.c` describes them."""

    def __init__(self, decoder: Decoder, sequences: int, length: int) -> None:
        layers, heads, width = decoder.layers, decoder.heads, decoder.head_dim
        blocks, vectors = -(-max(1, length) // LANES), -(-width // LANES)
        self.keys = torch.zeros(layers, sequences, heads, blocks, width, LANES)
        self.values = torch.zeros(layers, sequences, heads, blocks * LANES, vectors * LANES)
        self.store = KVStore(
            self.keys.data_ptr(),
            self.values.data_ptr(),
            sequences,
            heads,
            blocks * LANES,
            width,
            vectors * LANES,
        )

    def write(self, sequence: int, kv: Tensor) -> None:
        """Stores the first positions of one sequence: (layers, 2, H, S, D)."""
        keys, values = kv.unbind(1)
        length, width = kv.shape[3:]
        padded = F.pad(keys, (0, 0, 0, -length % LANES)).unflatten(2, (-1, LANES))
        self.keys[:, sequence, :, : padded.shape[2]] = padded.transpose(-1, -2)
        self.values[:, sequence, :, :length, :width] = values

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first positions of sequence `source` to sequence `target`."""
        blocks = -(-length // LANES)
        self.keys[:, target, :, :blocks] = self.keys[:, source, :, :blocks]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]


class _CompiledPromptCache(PromptCache):
    """`PromptCache` in the kernels' layout.

    Args:
        decoder: gives layers, heads and width.
        capacity: prompts at most.
        length: tokens of a prompt at most.
        rows: rows at most.
    """

    def __init__(self, decoder: Decoder, capacity: int, length: int, rows: int) -> None:
        super().__init__(capacity)
        self.blocks = _Blocks(decoder, capacity, length)
        self.slot_of_row = np.zeros(rows, dtype=np.int64)
        self.row_order = np.zeros(rows, dtype=np.int64)
        """Rows, those of a prompt side by side."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of the prompt in each slot."""
        return self._lengths

    @override
    def assign_rows(self, slot_A: NDArray[np.int64]) -> None:
        count = len(slot_A)
        self.slot_of_row[:count] = slot_A
        self.row_order[:count] = np.argsort(slot_A, kind="stable")

    @override
    def _write(self, slot: int, kv: Tensor) -> None:
        self.blocks.write(slot, kv)

    @override
    def _move(self, source: int, target: int) -> None:
        self.blocks.move(source, target, int(self._lengths[source]))


class CompiledCache(Cache):
    """`Cache` in float32 on the CPU.

    Args:
        decoder: gives layers, heads, width, the bias of distances, windows and the cap of scores.
        kernels: the compiled functions.
        rows: rows at most.
        columns: tokens of a row at most.
        prompts: prompts at most.
        prompt_length: tokens of a prompt at most.
    """

    def __init__(
        self, decoder: Decoder, kernels: Kernels, rows: int, columns: int, prompts: int, prompt_length: int
    ) -> None:
        super().__init__(decoder, rows, columns)
        self.blocks = _Blocks(decoder, rows, columns)
        self._live = torch.zeros(rows, dtype=torch.uint8)
        self.prompts: _CompiledPromptCache = _CompiledPromptCache(decoder, prompts, prompt_length, rows)
        self._kernels = kernels
        bias = decoder.distance_bias(columns)
        # A whole vector may be read from the last distance on.
        self._bias = None if bias is None else F.pad(bias, (0, LANES)).contiguous()
        unbounded = 1 << 62
        self._windows = torch.tensor([unbounded if window is None else window for window in decoder.windows])
        self._score_cap = decoder.score_cap or 0.0
        row_kv, prompt_kv = self.blocks.store, self.prompts.blocks.store
        self._scratch = torch.empty(4 * (row_kv.capacity + prompt_kv.capacity + LANES + row_kv.padded))
        self._out = torch.empty(rows, decoder.heads * decoder.group * decoder.head_dim)
        self._self_attention = self._attention(decoder.group, columns, row_kv=row_kv)
        self._prompt_attention = self._attention(decoder.group, columns, prompt_kv=prompt_kv)
        self._joint_attention = self._attention(decoder.group, columns, row_kv=row_kv, prompt_kv=prompt_kv)

    def _attention(self, group: int, biases: int, **stores: KVStore) -> Attention:
        return Attention(
            column=self.column.data_ptr(),
            live=self._live.data_ptr(),
            order=self.prompts.row_order.ctypes.data,
            prompt=self.prompts.slot_of_row.ctypes.data,
            length=self.prompts.lengths.ctypes.data,
            bias=None if self._bias is None else self._bias.data_ptr(),
            biases=biases,
            bias_stride=0 if self._bias is None or self._bias.dim() == 2 else self._bias[0].numel(),
            window=self._windows.data_ptr() if len(self._windows) else None,
            cap=self._score_cap,
            group=group,
            prefetch=self.blocks.keys.nbytes + self.blocks.values.nbytes > _PREFETCH_BYTES,
            scratch=self._scratch.data_ptr(),
            **stores,
        )

    @override
    def begin_step(self, shape: StepShape) -> None:
        """Nothing is prepared: the kernels read `column` themselves."""

    @override
    def update_distance_bias(self, decoder: Decoder) -> None:
        if self._bias is not None and (bias := decoder.distance_bias(self.columns)) is not None:
            self._bias[..., : self.columns] = bias

    @override
    def self_attention(self, layer: int, qkv: Tensor) -> Tensor:
        return self._kernels.attend(self._self_attention, layer, qkv, self._out)

    @override
    def prompt_attention(self, layer: int, query: Tensor) -> Tensor:
        return self._kernels.attend(self._prompt_attention, layer, query, self._out)

    @override
    def joint_attention(self, layer: int, qkv: Tensor) -> Tensor:
        return self._kernels.attend(self._joint_attention, layer, qkv, self._out)

    @override
    def admit_rows(self, row_indices: Tensor) -> None:
        super().admit_rows(row_indices)
        self._live[row_indices] = 1

    @override
    def release_row(self, row_index: int) -> None:
        # From now on the row reads and writes nothing.
        super().release_row(row_index)
        self._live[row_index] = 0

    @override
    def move_row(self, source: int, target: int, length: int) -> None:
        super().move_row(source, target, length)
        self._live[target] = self._live[source]
        self.blocks.move(source, target, length)
