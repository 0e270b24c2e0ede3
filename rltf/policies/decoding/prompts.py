"""Keys and values of the prompts alive, each held once for all its rows."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltf.policies.decoding.base import Decoder, PromptStates
from rltf.policies.decoding.cache import barred


class Prompts:
    """Which prompts are alive: those in use are `[:alive]`.

    Args:
        slots: prompts at most.
    """

    def __init__(self, slots: int) -> None:
        self._lengths = np.zeros(slots, dtype=np.int64)
        self.slots = slots
        self.alive = 0
        """Prompts in use."""

    def put(self, states: PromptStates, index: int) -> int:
        """Takes in prompt `index` of `states`, without its padding; returns its slot."""
        slot = self.alive
        real = states.mask_PS[index].nonzero()[:, 0]
        self._lengths[slot] = len(real)
        self._fill(slot, states.kv[:, :, index].index_select(3, real))
        self.alive += 1
        return slot

    def drop(self, slot: int) -> int:
        """Forgets a prompt; the last one takes its slot. Returns the slot that the last one had."""
        last = self.alive - 1
        if slot != last:
            self._move(last, slot)
            self._lengths[slot] = self._lengths[last]
        self.alive = last
        return last

    def arrange(self, slot_A: NDArray[np.int64]) -> None:
        """Says which prompt each row reads; called whenever rows or prompts have changed."""
        raise NotImplementedError

    def _fill(self, slot: int, kv: Tensor) -> None:
        """(layers, 2, H, S, D)."""
        raise NotImplementedError

    def _move(self, source: int, target: int) -> None:
        raise NotImplementedError


class PromptCache(Prompts):
    """The rows of a prompt are the queries of one matrix product with the prompt's keys. As prompts have different
    numbers of rows left, queries are spread over a grid (prompt, place) by one gather, and results are collected from
    it by another.

    Args:
        decoder: gives layers, heads, width, dtype and device.
        slots: prompts at most.
        length: tokens of a prompt at most.
    """

    def __init__(self, decoder: Decoder, slots: int, length: int) -> None:
        super().__init__(slots)
        # At least one position, which stays barred, for prompts with nothing to share: a causal one of one token.
        shape = (decoder.layers, 2, slots, decoder.heads, max(1, length), decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self._heads = decoder.heads
        self.length = 0
        """S: positions that are read, once arranged: those of the longest prompt."""
        self._places = 1
        self._spread = self._collect = torch.zeros(0, dtype=torch.long, device=decoder.device)
        self._mask: Tensor | None = None

    def arrange(self, slot_A: NDArray[np.int64]) -> None:
        """See `Prompts.arrange`."""
        counts = np.bincount(slot_A, minlength=self.alive)
        places = int(counts.max(initial=1))
        order = np.argsort(slot_A, kind="stable")
        place_A = np.empty_like(slot_A)
        place_A[order] = np.arange(len(slot_A)) - np.repeat(np.cumsum(counts) - counts, counts)
        head = np.arange(self._heads)
        collect = (slot_A[:, None] * self._heads + head) * places + place_A[:, None]
        # Places without a row repeat the first row's query; nobody collects what comes of it.
        spread = np.zeros(self.alive * self._heads * places, dtype=np.int64)
        spread[collect] = np.arange(len(slot_A))[:, None] * self._heads + head
        device, dtype = self._kv.device, self._kv.dtype
        self._spread = torch.from_numpy(spread).to(device)
        self._collect = torch.from_numpy(collect.ravel()).to(device)
        self._places = places
        lengths = self._lengths[: self.alive]
        self.length = max(1, int(lengths.max(initial=1)))
        self._mask = None
        if (lengths < self.length).any():
            beyond = torch.from_numpy(np.arange(self.length) >= np.repeat(lengths, self._heads)[:, None])
            self._mask = (beyond.to(dtype) * barred(dtype))[:, None].to(device)

    def scores(self, layer: int, query: Tensor) -> Tensor:
        """Queries of rows (A*H, R, D) times keys, barred beyond each prompt's end: (P*H, places*R, S) on the grid."""
        keys = self._read(layer, 0).transpose(1, 2)
        spread = self.spread(query)
        return torch.bmm(spread, keys) if self._mask is None else torch.baddbmm(self._mask, spread, keys)

    def context(self, layer: int, weights: Tensor) -> Tensor:
        """Attention weights on the grid times values: (P*H, places*R, D), on the grid."""
        return torch.bmm(weights, self._read(layer, 1))

    def collect(self, grid: Tensor) -> Tensor:
        """From the grid (P*H, places*R, W) to the rows: (A*H, R*W)."""
        return grid.view(self.alive * self._heads * self._places, -1).index_select(0, self._collect)

    def spread(self, rows: Tensor) -> Tensor:
        """From the rows (A*H, R, W) to the grid: (P*H, places*R, W)."""
        return rows.index_select(0, self._spread).view(self.alive * self._heads, -1, rows.shape[2])

    def _read(self, layer: int, which: int) -> Tensor:
        return self._kv[layer, which, : self.alive, :, : self.length].flatten(0, 1)

    def _fill(self, slot: int, kv: Tensor) -> None:
        self._kv[:, :, slot, :, : kv.shape[3]] = kv

    def _move(self, source: int, target: int) -> None:
        self._kv[:, :, target] = self._kv[:, :, source]
