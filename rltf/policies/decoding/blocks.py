"""Keys and values of many sequences, in blocks of positions.

A block holds the same few positions of all sequences, one after the other, so that what a step reads is contiguous
memory. On a CPU that matters once the buffers outgrow its caches: a batched product over windows of longer buffers ran
at 8 GB/s, over contiguous ones at 28 GB/s. Otherwise, and on an accelerator, launches count and there is one block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.policies.decoding.base import Decoder

_CACHED = 12 << 20
"""Bytes of all keys and values below which windows ran as fast as contiguous memory."""


def block_width(decoder: Decoder, count: int, length: int) -> int:
    """Positions of a block of `count` sequences: about an eighth of the sequence, 16 to 64, so that few are read in
    vain and few products are made; the whole of it where blocks bring nothing."""
    size = 2 * decoder.layers * count * length * decoder.heads * decoder.head_dim * decoder.dtype.itemsize
    if decoder.device.type != "cpu" or size <= _CACHED:
        return length
    return 16 if length <= 128 else 48 if length <= 384 else 64


class BlockedKV:
    """Keys and values of up to `count` sequences of up to `length` positions. All memory is taken at once.

    Args:
        decoder: gives layers, heads, width, dtype and device.
        count: sequences at most.
        length: positions at most.
        width: positions of a block; `length` is a multiple of it.
    """

    def __init__(self, decoder: Decoder, count: int, length: int, width: int) -> None:
        shape = (decoder.layers, 2, length // width, count, decoder.heads, width, decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self._heads = decoder.heads
        self.width = width

    def span(self, first: int, last: int) -> tuple[int, int]:
        """The positions `[low, high)` that are read in order to read `[first, last)`: whole blocks, where there are
        several."""
        if self._kv.shape[2] == 1:
            return first, last
        return first // self.width * self.width, -(-last // self.width) * self.width

    def write(self, layer: int, kv_A2HD: Tensor, position: int) -> None:
        """Stores one position of the first A sequences."""
        block, place = divmod(position, self.width)
        self._kv[layer, :, block, : len(kv_A2HD), :, place].copy_(kv_A2HD.transpose(0, 1))

    def fill(self, sequence: int, kv: Tensor) -> None:
        """Stores the first positions of one sequence: (layers, 2, H, S, D)."""
        for start in range(0, kv.shape[3], self.width):
            part = kv[:, :, :, start : start + self.width]
            self._kv[:, :, start // self.width, sequence, :, : part.shape[3]] = part

    def move(self, source: int, target: int, span: tuple[int, int]) -> None:
        """Sequence `source` overwrites `target`, in the blocks of the span."""
        blocks = slice(span[0] // self.width, -(-span[1] // self.width))
        self._kv[:, :, blocks, target] = self._kv[:, :, blocks, source]

    def shift(self, count: int, span: tuple[int, int]) -> None:
        """The positions of the span become the first ones, of the first `count` sequences."""
        low, high = span
        for layer in self._kv:
            if layer.shape[1] == 1:
                layer[:, 0, :count, :, : high - low] = layer[:, 0, :count, :, low:high].clone()
            else:
                first, last = low // self.width, high // self.width
                layer[:, : last - first, :count] = layer[:, first:last, :count].clone()

    def scores(self, layer: int, query: Tensor, span: tuple[int, int], bias: Tensor | None) -> Tensor:
        """Queries (A*H, Q, D) of the first A sequences times their keys, plus the bias (A*H, 1, high - low):
        (A*H, Q, high - low)."""
        keys = self._read(layer, 0, len(query), span)
        if len(keys) == 1 and bias is not None:
            return torch.baddbmm(bias, query, keys[0].transpose(1, 2))
        parts = [torch.bmm(query, block.transpose(1, 2)) for block in keys]
        scores = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        return scores if bias is None else scores.add_(bias)

    def context(self, layer: int, weights: Tensor, span: tuple[int, int], base: Tensor | None = None) -> Tensor:
        """Weights (A*H, Q, high - low) times values, added to `base`: (A*H, Q, D)."""
        start = 0
        for values in self._read(layer, 1, len(weights), span):
            part = weights[..., start : start + values.shape[1]]
            start += values.shape[1]
            base = torch.bmm(part, values) if base is None else torch.baddbmm(base, part, values)
        assert base is not None
        return base

    def _read(self, layer: int, which: int, rows: int, span: tuple[int, int]) -> list[Tensor]:
        low, high = span
        blocks = self._kv[layer, which].flatten(1, 2)
        if len(blocks) == 1:
            return [blocks[0, :rows, low:high]]
        return list(blocks[low // self.width : high // self.width, :rows].unbind(0))
