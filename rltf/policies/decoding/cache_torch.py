"""Attention by torch's kernels, on any device and in any precision, fit to be captured as a CUDA graph.

A step reads where its rows stand from tensors on the device, and every size in it follows from its `StepShape`: two
steps of one shape are the same kernels on the same addresses, and none waits for the device. Rows count their own
tokens, so no column ever moves.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltf.policies.decoding.interfaces import Cache, Decoder, Prompts, StepShape

_COLUMNS = 64
"""Columns of a bucket."""


class StaticCache(Cache):
    """Keys and values in tensors that all rows share, with a mask over the columns that a row has not reached.

    Args:
        decoder: gives layers, heads, width, dtype, device and the bias of distances.
        seats: rows at most.
        columns: tokens of a row at most.
        prompts: prompts at most.
        length: tokens of a prompt at most.
        buckets: shapes are rounded up to few different ones, of which graphs are made; otherwise they are exact.
    """

    prompts: PromptCache

    def __init__(
        self, decoder: Decoder, seats: int, columns: int, prompts: int, length: int, buckets: bool = False
    ) -> None:
        super().__init__(decoder, seats, columns)
        self._heads, self._width, self._buckets = decoder.heads, decoder.head_dim, buckets
        shape = (decoder.layers, 2, seats, decoder.heads, columns, decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self.prompts = PromptCache(decoder, prompts, length, seats, buckets)
        self._seat = torch.arange(seats, device=decoder.device)
        # What is added to scores: by distance up to the middle, the present token's last, and behind it what is barred.
        # A row's mask is a stretch of it, of which the present token's column says where it begins.
        self._table_HC = torch.full((self._heads, 2 * columns), mask_value(decoder.dtype)).to(self._kv)
        self.refresh(decoder)
        self._mask = self._age = torch.zeros(0)

    def refresh(self, decoder: Decoder) -> None:
        """See `Cache.refresh`: the bias of distances."""
        bias_HC = decoder.distance_bias(self.columns)
        self._table_HC[:, : self.columns] = 0.0 if bias_HC is None else bias_HC

    def shape(self, rows: int, columns: int) -> StepShape:
        """See `Cache.shape`."""
        if self._buckets:
            rows = min(round_up_to_bucket(rows), len(self._seat))
            columns = min(-(-columns // _COLUMNS) * _COLUMNS, self.columns)
        return StepShape(rows, columns, self.prompts.grid)

    def tick(self, shape: StepShape) -> None:
        """See `Cache.tick`; the mask with the bias, (A*H, 1, L), is the same for all layers."""
        self._columns = shape.columns
        self._age = self.age[: shape.rows]
        stretches = self._table_HC.unfold(1, shape.columns, 1).permute(1, 0, 2)
        self._mask = stretches.index_select(0, (self.columns - 1) - self._age).flatten(0, 1)[:, None]

    def own(self, layer: int, qkv: Tensor) -> Tensor:
        """See `Cache.own`."""
        query, keys, values = self._store(layer, qkv)
        weights = torch.baddbmm(self._mask, query, keys.transpose(1, 2)).softmax(-1)
        return torch.bmm(weights, values).view(qkv.shape[0], -1)

    def given(self, layer: int, query: Tensor) -> Tensor:
        """See `Cache.given`."""
        count = query.shape[0]
        weights = self.prompts.scores(layer, query.reshape(count * self._heads, -1, self._width)).softmax(-1)
        return self.prompts.collect(self.prompts.context(layer, weights), count).view(count, -1)

    def both(self, layer: int, qkv: Tensor) -> Tensor:
        """See `Cache.both`."""
        query, keys, values = self._store(layer, qkv)
        prompts, count = self.prompts, qkv.shape[0]
        own = torch.baddbmm(self._mask, query, keys.transpose(1, 2))
        given = prompts.collect(prompts.scores(layer, query), count).view(len(query), -1, prompts.grid.length)
        weights = torch.cat([given, own], -1).softmax(-1)
        context = prompts.context(layer, prompts.spread(weights[..., : prompts.grid.length]))
        context = prompts.collect(context, count).view(len(query), -1, self._width)
        return torch.baddbmm(context, weights[..., prompts.grid.length :], values).view(count, -1)

    def move(self, source: int, target: int, age: int) -> None:
        """See `Cache.move`."""
        super().move(source, target, age)
        self._kv[:, :, target, :, :age] = self._kv[:, :, source, :, :age]

    def _store(self, layer: int, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (A*H, R, D), keys and values (A*H, L, D)."""
        heads, count = self._heads, qkv.shape[0]
        queries = qkv.shape[1] - 2 * heads
        kv = self._kv[layer, :, :count]
        kv.permute(1, 3, 0, 2, 4).index_put_((self._seat[:count], self._age), qkv[:, queries:].unflatten(1, (2, heads)))
        keys, values = kv[:, :, :, : self._columns].flatten(1, 2).unbind(0)
        return qkv[:, :queries].reshape(count * heads, -1, self._width), keys, values


def mask_value(dtype: torch.dtype) -> float:
    """What is added to a score that may not be read. Finite, so that a row with nothing to read gives no NaN."""
    return torch.finfo(dtype).min / 2


def round_up_to_bucket(count: int) -> int:
    """The next of 1 to 8, 10, 12, 14, 16, 20, 24, ...: few sizes, of which none is a quarter too large.

    Example:
        >>> [quarter_octave(count) for count in (7, 9, 16, 17, 200)]
        [7, 10, 16, 20, 224]
    """
    step = 1 << max(0, (count - 1).bit_length() - 3)
    return -(-count // step) * step


class Grid(NamedTuple):
    """How the queries of rows are laid out before their prompts' keys."""

    prompts: int
    """P: of which keys and values are read."""
    places: int
    """Rows of a prompt at most."""
    length: int
    """S: positions that are read of each."""
    masked: bool
    """Whether some prompt in use is shorter."""


class PromptCache(Prompts):
    """The rows of a prompt are the queries of one matrix product with the prompt's keys. As prompts have different
    numbers of rows left, queries are spread over a grid (prompt, place) by one gather, and results are collected from
    it by another. What says where they go stays at its place in memory.

    Args:
        decoder: gives layers, heads, width, dtype and device.
        slots: prompts at most.
        length: tokens of a prompt at most.
        seats: rows at most.
        buckets: the grid's sizes are rounded up to few different ones.
    """

    def __init__(self, decoder: Decoder, slots: int, length: int, seats: int, buckets: bool = False) -> None:
        super().__init__(slots)
        # At least one position, which stays barred, for prompts with nothing to share: a causal one of one token.
        self._length = max(1, length)
        shape = (decoder.layers, 2, slots, decoder.heads, self._length, decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self._heads, self._seats, self._buckets = decoder.heads, seats, buckets
        self.grid = Grid(0, 1, 1, False)
        """As last arranged."""
        index = torch.zeros((1 + slots) * decoder.heads * seats, dtype=torch.long, device=decoder.device)
        self._collect, self._spread = index[: decoder.heads * seats], index[decoder.heads * seats :]
        self._mask = torch.zeros(slots * decoder.heads, self._length, dtype=decoder.dtype, device=decoder.device)

    def arrange(self, slot_A: NDArray[np.int64]) -> None:
        """See `Prompts.arrange`."""
        counts = np.bincount(slot_A, minlength=self.alive)
        prompts, places = self.alive, int(counts.max(initial=1))
        lengths = self._lengths[: self.alive]
        length = max(1, int(lengths.max(initial=1)))
        if self._buckets:
            prompts = min(round_up_to_bucket(prompts), self.slots)
            places = min(1 << (places - 1).bit_length(), self._seats)
            length = min(-(-length // _POSITIONS) * _POSITIONS, self._length)
        self.grid = Grid(prompts, places, length, bool((lengths < length).any()))
        order = np.argsort(slot_A, kind="stable")
        place_A = np.empty_like(slot_A)
        place_A[order] = np.arange(len(slot_A)) - np.repeat(np.cumsum(counts) - counts, counts)
        head = np.arange(self._heads)
        collect = (slot_A[:, None] * self._heads + head) * places + place_A[:, None]
        # Places without a row repeat the first row's query; nobody collects what comes of it. Seats without a row
        # collect what the first place has.
        spread = np.zeros(prompts * self._heads * places, dtype=np.int64)
        spread[collect] = np.arange(len(slot_A))[:, None] * self._heads + head
        self._spread[: len(spread)] = torch.from_numpy(spread)
        self._collect[: collect.size] = torch.from_numpy(collect.ravel())
        self._collect[collect.size :] = 0
        if self.grid.masked:
            beyond = torch.from_numpy(np.arange(length) >= np.repeat(lengths, self._heads)[:, None])
            self._mask[: len(beyond), :length] = beyond.to(self._mask.dtype) * mask_value(self._mask.dtype)

    def scores(self, layer: int, query: Tensor) -> Tensor:
        """Queries of rows (A*H, R, D) times keys, barred beyond each prompt's end: (P*H, places*R, S) on the grid."""
        keys = self._read(layer, 0).transpose(1, 2)
        spread = self.spread(query)
        if not self.grid.masked:
            return torch.bmm(spread, keys)
        return torch.baddbmm(self._mask[: len(keys), None, : self.grid.length], spread, keys)

    def context(self, layer: int, weights: Tensor) -> Tensor:
        """Attention weights on the grid times values: (P*H, places*R, D), on the grid."""
        return torch.bmm(weights, self._read(layer, 1))

    def collect(self, grid: Tensor, rows: int) -> Tensor:
        """From the grid (P*H, places*R, W) to the rows: (A*H, R*W)."""
        flat = grid.view(self.grid.prompts * self._heads * self.grid.places, -1)
        return flat.index_select(0, self._collect[: rows * self._heads])

    def spread(self, rows: Tensor) -> Tensor:
        """From the rows (A*H, R, W) to the grid: (P*H, places*R, W)."""
        lines = self.grid.prompts * self._heads
        return rows.index_select(0, self._spread[: lines * self.grid.places]).view(lines, -1, rows.shape[2])

    def _read(self, layer: int, which: int) -> Tensor:
        return self._kv[layer, which, : self.grid.prompts, :, : self.grid.length].flatten(0, 1)

    def _fill(self, slot: int, kv: Tensor) -> None:
        self._kv[:, :, slot, :, : kv.shape[3]] = kv

    def _move(self, source: int, target: int) -> None:
        self._kv[:, :, target] = self._kv[:, :, source]


_POSITIONS = 32
"""Prompt positions of a bucket: they are most of what a step reads, so few are read in vain."""
