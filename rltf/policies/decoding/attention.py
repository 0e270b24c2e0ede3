"""Attention of the present tokens of all rows to their own tokens and to their prompts."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rltf.policies.decoding.base import Decoder
from rltf.policies.decoding.cache import RowCache, Rows
from rltf.policies.decoding.prompts import PromptCache, Prompts


class Cache(ABC):
    """What the rows being decoded attend to. All memory is taken at once."""

    rows: Rows
    """Their own tokens."""
    prompts: Prompts
    """Their prompts, each held once."""

    def tick(self) -> None:
        """A step begins."""
        self.rows.tick()

    @abstractmethod
    def own(self, layer: int, qkv: Tensor) -> Tensor:
        """Self-attention with the decoder's bias of distances.

        Args:
            layer: index of the layer.
            qkv: (A, H*R + 2*H, D): scaled queries, then the keys and values of the present token, which are stored
                first.

        Returns:
            (A, H*R*D), which the next call may overwrite.
        """

    @abstractmethod
    def given(self, layer: int, query: Tensor) -> Tensor:
        """Attention to the prompt alone: queries (A, H*R, D) to (A, H*R*D), which the next call may overwrite."""

    @abstractmethod
    def both(self, layer: int, qkv: Tensor) -> Tensor:
        """One softmax over the prompt's tokens and the row's own; see `own`, without bias."""


class TorchCache(Cache):
    """By torch's kernels, on any device and in any precision.

    Args:
        decoder: gives layers, heads, width, dtype, device and the bias of distances.
        seats: rows at most.
        columns: tokens of a row at most, and some room.
        prompts: prompts at most.
        length: tokens of a prompt at most.
    """

    rows: RowCache
    prompts: PromptCache

    def __init__(self, decoder: Decoder, seats: int, columns: int, prompts: int, length: int) -> None:
        self.rows = RowCache(decoder, seats, columns)
        self.prompts = PromptCache(decoder, prompts, length)
        self._heads, self._width = decoder.heads, decoder.head_dim
        self._bias_HL = decoder.distance_bias(columns)
        self._mask = torch.zeros(0)

    def tick(self) -> None:
        """See `Cache.tick`; mask and bias, (A*H, 1, L), are the same for all layers."""
        self.rows.tick()
        mask_AHL = self.rows.mask_AL[:, None]
        if self._bias_HL is None:
            self._mask = mask_AHL.repeat_interleave(self._heads, 1).flatten(0, 1)[:, None]
        else:
            low, high = self.rows.span
            self._mask = (mask_AHL + self._bias_HL[:, self.rows.columns - (high - low) :]).flatten(0, 1)[:, None]

    def own(self, layer: int, qkv: Tensor) -> Tensor:
        """See `Cache.own`."""
        query, keys, values = self._store(layer, qkv)
        weights = torch.baddbmm(self._mask, query, keys.transpose(1, 2)).softmax(-1)
        return torch.bmm(weights, values).view(qkv.shape[0], -1)

    def given(self, layer: int, query: Tensor) -> Tensor:
        """See `Cache.given`."""
        count = query.shape[0]
        weights = self.prompts.scores(layer, query.reshape(count * self._heads, -1, self._width)).softmax(-1)
        return self.prompts.collect(self.prompts.context(layer, weights)).view(count, -1)

    def both(self, layer: int, qkv: Tensor) -> Tensor:
        """See `Cache.both`."""
        query, keys, values = self._store(layer, qkv)
        prompts = self.prompts
        own = torch.baddbmm(self._mask, query, keys.transpose(1, 2))
        given = prompts.collect(prompts.scores(layer, query)).view(len(query), -1, prompts.length)
        weights = torch.cat([given, own], -1).softmax(-1)
        context = prompts.context(layer, prompts.spread(weights[..., : prompts.length]))
        context = prompts.collect(context).view(len(query), -1, self._width)
        return torch.baddbmm(context, weights[..., prompts.length :], values).view(qkv.shape[0], -1)

    def _store(self, layer: int, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (A*H, R, D), keys and values (A*H, L, D)."""
        heads, count = self._heads, qkv.shape[0]
        queries = qkv.shape[1] - 2 * heads
        self.rows.write(layer, qkv[:, queries:].unflatten(1, (2, heads)))
        return qkv[:, :queries].reshape(count * heads, -1, self._width), *self.rows.read(layer)


def make_cache(decoder: Decoder, seats: int, columns: int, prompts: int, length: int) -> Cache:
    """The fastest that there is for the decoder; see `TorchCache` for the arguments."""
    if decoder.kernels is None:
        return TorchCache(decoder, seats, columns, prompts, length)
    from rltf.policies.decoding.compiled import CompiledCache

    return CompiledCache(decoder, decoder.kernels, seats, columns, prompts, length)
