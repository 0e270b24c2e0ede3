"""Keys and values of the prompts alive, each held once for all its rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltf.policies.decoding.base import Decoder, PromptStates


def barred(dtype: torch.dtype) -> float:
    """What is added to a score that may not be read. Finite, so that a row with nothing to read gives no NaN."""
    return torch.finfo(dtype).min / 2


def quarter_octave(count: int) -> int:
    """The next of 1 to 8, 10, 12, 14, 16, 20, 24, ...: few sizes, of which none is a quarter too large.

    Example:
        >>> [quarter_octave(count) for count in (7, 9, 16, 17, 200)]
        [7, 10, 16, 20, 224]
    """
    step = 1 << max(0, (count - 1).bit_length() - 3)
    return -(-count // step) * step


class Prompts(ABC):
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

    def clear(self) -> None:
        """Forgets all prompts."""
        self.alive = 0

    @abstractmethod
    def arrange(self, slot_A: NDArray[np.int64]) -> None:
        """Says which prompt each row reads; called whenever rows or prompts have changed."""

    @abstractmethod
    def _fill(self, slot: int, kv: Tensor) -> None:
        """(layers, 2, H, S, D)."""

    @abstractmethod
    def _move(self, source: int, target: int) -> None: ...


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
            prompts = min(quarter_octave(prompts), self.slots)
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
            self._mask[: len(beyond), :length] = beyond.to(self._mask.dtype) * barred(self._mask.dtype)

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
