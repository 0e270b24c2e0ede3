"""Attention by the compiled kernels: each row counts its own tokens, so nothing is masked or read in vain."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from rltf.policies.decoding.interfaces import Cache, Decoder, Prompts, StepShape
from rltf.policies.kernels import LANES, Attention, Kernels, Store

_NEAR = 8 << 20
"""Bytes of keys and values from which asking for them ahead made attention a quarter faster; below it cost a tenth."""


class _Blocks:
    """Keys and values of sequences, as `decoding.c` describes them."""

    def __init__(self, decoder: Decoder, sequences: int, length: int) -> None:
        layers, heads, width = decoder.layers, decoder.heads, decoder.head_dim
        blocks, vectors = -(-max(1, length) // LANES), -(-width // LANES)
        self.keys = torch.zeros(layers, sequences, heads, blocks, width, LANES)
        self.values = torch.zeros(layers, sequences, heads, blocks * LANES, vectors * LANES)
        self.store = Store(
            self.keys.data_ptr(),
            self.values.data_ptr(),
            sequences,
            heads,
            blocks * LANES,
            width,
            vectors * LANES,
        )

    def fill(self, sequence: int, kv: Tensor) -> None:
        """Stores the first positions of one sequence: (layers, 2, H, S, D)."""
        keys, values = kv.unbind(1)
        length, width = kv.shape[3:]
        padded = F.pad(keys, (0, 0, 0, -length % LANES)).unflatten(2, (-1, LANES))
        self.keys[:, sequence, :, : padded.shape[2]] = padded.transpose(-1, -2)
        self.values[:, sequence, :, :length, :width] = values

    def move(self, source: int, target: int, length: int) -> None:
        """The first positions of sequence `source` overwrite those of `target`."""
        blocks = -(-length // LANES)
        self.keys[:, target, :, :blocks] = self.keys[:, source, :, :blocks]
        self.values[:, target, :, :length] = self.values[:, source, :, :length]


class _Prompts(Prompts):
    def __init__(self, decoder: Decoder, slots: int, seats: int, length: int) -> None:
        super().__init__(slots)
        self.blocks = _Blocks(decoder, slots, length)
        self.prompt = np.zeros(seats, dtype=np.int64)
        self.order = np.zeros(seats, dtype=np.int64)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return self._lengths

    def arrange(self, slot_A: NDArray[np.int64]) -> None:
        count = len(slot_A)
        self.prompt[:count] = slot_A
        self.order[:count] = np.argsort(slot_A, kind="stable")

    def _fill(self, slot: int, kv: Tensor) -> None:
        self.blocks.fill(slot, kv)

    def _move(self, source: int, target: int) -> None:
        self.blocks.move(source, target, int(self._lengths[source]))


class CompiledCache(Cache):
    """See `Cache`; float32 on the CPU.

    Args:
        decoder: gives layers, heads, width and the bias of distances.
        kernels: the compiled functions.
        seats: rows at most.
        columns: tokens of a row at most.
        prompts: prompts at most.
        length: tokens of a prompt at most.
    """

    def __init__(self, decoder: Decoder, kernels: Kernels, seats: int, columns: int, prompts: int, length: int) -> None:
        super().__init__(decoder, seats, columns)
        self.blocks = _Blocks(decoder, seats, columns)
        self._live = torch.zeros(seats, dtype=torch.uint8)
        self.prompts: _Prompts = _Prompts(decoder, prompts, seats, length)
        self._kernels = kernels
        bias_HL = decoder.distance_bias(columns)
        # A whole vector may be read from the last distance on.
        self._bias = None if bias_HL is None else F.pad(bias_HL, (0, LANES)).contiguous()
        own, given = self.blocks.store, self.prompts.blocks.store
        self._scratch = torch.empty(4 * (own.capacity + given.capacity + LANES + own.padded))
        self._out = torch.empty(seats, decoder.heads * decoder.group * decoder.head_dim)
        self._own = self._attention(decoder.group, columns, own=own)
        self._given = self._attention(decoder.group, columns, given=given)
        self._both = self._attention(decoder.group, columns, own=own, given=given)

    def _attention(self, group: int, biases: int, **stores: Store) -> Attention:
        return Attention(
            age=self.age.data_ptr(),
            live=self._live.data_ptr(),
            order=self.prompts.order.ctypes.data,
            prompt=self.prompts.prompt.ctypes.data,
            length=self.prompts.lengths.ctypes.data,
            bias=None if self._bias is None else self._bias.data_ptr(),
            biases=biases,
            group=group,
            far=self.blocks.keys.nbytes + self.blocks.values.nbytes > _NEAR,
            scratch=self._scratch.data_ptr(),
            **stores,
        )

    def tick(self, shape: StepShape) -> None:
        """See `Cache.tick`: there is nothing to prepare."""

    def refresh(self, decoder: Decoder) -> None:
        """See `Cache.refresh`: the bias of distances."""
        if self._bias is not None and (bias_HL := decoder.distance_bias(self.columns)) is not None:
            self._bias[:, : self.columns] = bias_HL

    def own(self, layer: int, qkv: Tensor) -> Tensor:
        """See `Cache.own`."""
        return self._kernels.attend(self._own, layer, qkv, self._out)

    def given(self, layer: int, query: Tensor) -> Tensor:
        """See `Cache.given`."""
        return self._kernels.attend(self._given, layer, query, self._out)

    def both(self, layer: int, qkv: Tensor) -> Tensor:
        """See `Cache.both`."""
        return self._kernels.attend(self._both, layer, qkv, self._out)

    def begin(self, seats: Tensor) -> None:
        """See `Cache.begin`."""
        super().begin(seats)
        self._live[seats] = 1

    def vacate(self, seat: int) -> None:
        """See `Cache.vacate`; from now on the row reads and writes nothing."""
        super().vacate(seat)
        self._live[seat] = 0

    def move(self, source: int, target: int, age: int) -> None:
        """See `Cache.move`."""
        super().move(source, target, age)
        self._live[target] = self._live[source]
        self.blocks.move(source, target, age)
