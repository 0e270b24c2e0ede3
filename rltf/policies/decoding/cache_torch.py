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
from rltf.policies.decoding.projections import soft_cap

_BUCKET_COLUMNS = 64
"""Numbers of columns are rounded up to multiples of this, where shapes are to be few."""


class StaticCache(Cache):
    """Keys and values in tensors that all rows share, with a mask over the columns that a row has not reached.

    Args:
        decoder: gives layers, heads, width, dtype, device, the bias of distances, windows and the cap of scores.
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
        self._score_cap = decoder.score_cap
        bias = decoder.distance_bias(columns)
        has_own_bias = bias is not None and bias.dim() == 3
        windows = decoder.windows or (None,) * decoder.layers
        kinds = [(layer if has_own_bias else 0, window) for layer, window in enumerate(windows)]
        self._kinds = list(dict.fromkeys(kinds))
        """Of layers with one mask: the layer whose bias it is, and the window."""
        self._kind_of_layer = [self._kinds.index(kind) for kind in kinds]
        # What is added to scores: the bias by distance, that of the present token last, and behind it the mask's value.
        # A row's mask is a stretch of this table, which begins where the present token's column says.
        size = (len(self._kinds), self._heads, 2 * columns)
        self._table_KHC = torch.full(size, mask_value(decoder.dtype)).to(self._kv)
        self.update_distance_bias(decoder)
        self._step_column = torch.zeros(0)
        self._masks: list[Tensor] = []
        self._prompt_masks: list[Tensor | None] = []

    @override
    def update_distance_bias(self, decoder: Decoder) -> None:
        bias = decoder.distance_bias(self.columns)
        for (layer, window), table_HC in zip(self._kinds, self._table_KHC, strict=True):
            table_HC[:, : self.columns] = 0.0 if bias is None else bias if bias.dim() == 2 else bias[layer]
            if window is not None:
                table_HC[:, : max(0, self.columns - window)] = mask_value(table_HC.dtype)

    @override
    def shape(self, rows: int, columns: int) -> StepShape:
        if self._buckets:
            rows = min(round_up_to_bucket(rows), len(self._row))
            columns = min(-(-columns // _BUCKET_COLUMNS) * _BUCKET_COLUMNS, self.columns)
        return StepShape(rows, columns, self.prompts.grid)

    @override
    def begin_step(self, shape: StepShape) -> None:
        # The mask with the bias, (A*H, 1, L), is the same for all layers of a kind.
        self._step_columns = shape.columns
        self._step_column = self.column[: shape.rows]
        first = (self.columns - 1) - self._step_column
        stretches = [table_HC.unfold(1, shape.columns, 1).permute(1, 0, 2) for table_HC in self._table_KHC]
        self._masks = [stretch.index_select(0, first).flatten(0, 1)[:, None] for stretch in stretches]
        self._prompt_masks = [
            None if window is None else self.prompts.window_mask(self._step_column, window) for _, window in self._kinds
        ]

    @override
    def self_attention(self, layer: int, qkv: Tensor) -> Tensor:
        query, keys, values = self._store(layer, qkv)
        weights = self._row_scores(layer, query, keys).softmax(-1)
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
        row_scores = self._row_scores(layer, query, keys)
        prompt_scores = prompts.to_rows(prompts.scores(layer, query), rows).view(len(query), -1, prompt_length)
        prompt_mask = self._prompt_masks[self._kind_of_layer[layer]]
        if prompt_mask is not None:
            prompt_scores = prompt_scores + prompt_mask
        weights = torch.cat([prompt_scores, row_scores], -1).softmax(-1)
        context = prompts.weighted_values(layer, prompts.to_grid(weights[..., :prompt_length]))
        context = prompts.to_rows(context, rows).view(len(query), -1, self._width)
        return torch.baddbmm(context, weights[..., prompt_length:], values).view(rows, -1)

    @override
    def move_row(self, source: int, target: int, length: int) -> None:
        super().move_row(source, target, length)
        self._kv[:, :, target, :, :length] = self._kv[:, :, source, :, :length]

    def _row_scores(self, layer: int, query: Tensor, keys: Tensor) -> Tensor:
        """Queries (A*H, R, D) times the row's own keys (A*H, L, D), with bias and mask: (A*H, R, L)."""
        mask = self._masks[self._kind_of_layer[layer]]
        if self._score_cap is None:
            return torch.baddbmm(mask, query, keys.transpose(1, 2))
        return soft_cap(torch.bmm(query, keys.transpose(1, 2)), self._score_cap) + mask

    def _store(self, layer: int, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Stores the present token's keys and values; returns queries (A*H, R, D), keys and values (A*H, L, D)."""
        heads, rows = self._heads, qkv.shape[0]
        queries = qkv.shape[1] - 2 * heads
        kv = self._kv[layer, :, :rows]
        by_column = kv.permute(1, 3, 0, 2, 4)
        by_column.index_put_((self._row[:rows], self._step_column), qkv[:, queries:].unflatten(1, (2, heads)))
        keys, values = kv[:, :, :, : self._step_columns].flatten(1, 2).unbind(0)
        return qkv[:, :queries].reshape(rows * heads, -1, self._width), keys, values
