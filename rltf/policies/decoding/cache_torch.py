"""Attention by torch's kernels, on any device and in any precision, fit to be captured as a CUDA graph.

A step reads the positions of its rows from tensors on the device, and every size in it follows from its `StepShape`:
two steps of one shape are the same kernels on the same addresses, and none waits for the device. Rows count their own
tokens, so no column ever moves.
"""

from __future__ import annotations

import torch
from torch import Tensor
from typing_extensions import override

from rltf.policies.decoding.cache_torch_prompts import StaticPromptCache, mask_value, round_up_to_bucket
from rltf.policies.decoding.interfaces import Cache, Decoder, StepShape

_BUCKET_COLUMNS = 64
"""Numbers of columns are rounded up to multiples of this, where shapes are to be few."""


class StaticCache(Cache):
    """Keys and values in tensors that all rows share, with a mask over the columns that a row has not reached.

    Args:
        decoder: gives layers, heads, width, dtype, device and the bias of distances.
        rows: rows at most.
        columns: tokens of a row at most.
        prompts: prompts at most.
        prompt_length: tokens of a prompt at most.
        buckets: shapes are rounded up to few different ones, of which graphs are made; otherwise they are exact.
    """

    prompts: StaticPromptCache

    def __init__(
        self, decoder: Decoder, rows: int, columns: int, prompts: int, prompt_length: int, buckets: bool = False
    ) -> None:
        super().__init__(decoder, rows, columns)
        self._heads, self._width, self._buckets = decoder.heads, decoder.head_dim, buckets
        shape = (decoder.layers, 2, rows, decoder.heads, columns, decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self.prompts = StaticPromptCache(decoder, prompts, prompt_length, rows, buckets)
        self._row = torch.arange(rows, device=decoder.device)
        # What is added to scores: the bias by distance, that of the present token last, and behind it the mask's value.
        # A row's mask is a stretch of this table, which begins where the present token's column says.
        self._table_HC = torch.full((self._heads, 2 * columns), mask_value(decoder.dtype)).to(self._kv)
        self.update_distance_bias(decoder)
        self._mask = self._step_column = torch.zeros(0)

    @override
    def update_distance_bias(self, decoder: Decoder) -> None:
        bias_HC = decoder.distance_bias(self.columns)
        self._table_HC[:, : self.columns] = 0.0 if bias_HC is None else bias_HC

    @override
    def shape(self, rows: int, columns: int) -> StepShape:
        if self._buckets:
            rows = min(round_up_to_bucket(rows), len(self._row))
            columns = min(-(-columns // _BUCKET_COLUMNS) * _BUCKET_COLUMNS, self.columns)
        return StepShape(rows, columns, self.prompts.grid)

    @override
    def begin_step(self, shape: StepShape) -> None:
        # The mask with the bias, (A*H, 1, L), is the same for all layers.
        self._step_columns = shape.columns
        self._step_column = self.column[: shape.rows]
        stretches = self._table_HC.unfold(1, shape.columns, 1).permute(1, 0, 2)
        self._mask = stretches.index_select(0, (self.columns - 1) - self._step_column).flatten(0, 1)[:, None]

    @override
    def self_attention(self, layer: int, qkv: Tensor) -> Tensor:
        query, keys, values = self._store(layer, qkv)
        weights = torch.baddbmm(self._mask, query, keys.transpose(1, 2)).softmax(-1)
        return torch.bmm(weights, values).view(qkv.shape[0], -1)

    @override
    def prompt_attention(self, layer: int, query: Tensor) -> Tensor:
        prompts, rows = self.prompts, query.shape[0]
        weights = prompts.scores(layer, query.reshape(rows * self._heads, -1, self._width)).softmax(-1)
        return prompts.to_rows(prompts.weighted_values(layer, weights), rows).view(rows, -1)

    @override
    def joint_attention(self, layer: int, qkv: Tensor) -> Tensor:
        query, keys, values = self._store(layer, qkv)
        prompts, rows, prompt_length = self.prompts, qkv.shape[0], self.prompts.grid.length
        row_scores = torch.baddbmm(self._mask, query, keys.transpose(1, 2))
        prompt_scores = prompts.to_rows(prompts.scores(layer, query), rows).view(len(query), -1, prompt_length)
        weights = torch.cat([prompt_scores, row_scores], -1).softmax(-1)
        context = prompts.weighted_values(layer, prompts.to_grid(weights[..., :prompt_length]))
        context = prompts.to_rows(context, rows).view(len(query), -1, self._width)
        return torch.baddbmm(context, weights[..., prompt_length:], values).view(rows, -1)

    @override
    def move_row(self, source: int, target: int, length: int) -> None:
        super().move_row(source, target, length)
        self._kv[:, :, target, :, :length] = self._kv[:, :, source, :, :length]

    def _store(self, layer: int, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Stores the present token's keys and values; returns queries (A*H, R, D), keys and values (A*H, L, D)."""
        heads, rows = self._heads, qkv.shape[0]
        queries = qkv.shape[1] - 2 * heads
        kv = self._kv[layer, :, :rows]
        by_column = kv.permute(1, 3, 0, 2, 4)
        by_column.index_put_((self._row[:rows], self._step_column), qkv[:, queries:].unflatten(1, (2, heads)))
        keys, values = kv[:, :, :, : self._step_columns].flatten(1, 2).unbind(0)
        return qkv[:, :queries].reshape(rows * heads, -1, self._width), keys, values
