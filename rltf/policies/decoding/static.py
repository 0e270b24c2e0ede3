"""Attention by torch's kernels, on any device and in any precision, fit to be captured as a CUDA graph.

A step reads where its rows stand from tensors on the device, and every size in it follows from its `StepShape`: two
steps of one shape are the same kernels on the same addresses, and none waits for the device. Rows count their own
tokens, so no column ever moves.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.policies.decoding.attention import Cache, StepShape
from rltf.policies.decoding.base import Decoder
from rltf.policies.decoding.prompts import PromptCache, barred, quarter_octave

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
        self._table_HC = torch.full((self._heads, 2 * columns), barred(decoder.dtype)).to(self._kv)
        self.refresh(decoder)
        self._mask = self._age = torch.zeros(0)

    def refresh(self, decoder: Decoder) -> None:
        """See `Cache.refresh`: the bias of distances."""
        bias_HC = decoder.distance_bias(self.columns)
        self._table_HC[:, : self.columns] = 0.0 if bias_HC is None else bias_HC

    def shape(self, rows: int, columns: int) -> StepShape:
        """See `Cache.shape`."""
        if self._buckets:
            rows = min(quarter_octave(rows), len(self._seat))
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
