"""Attention to prompts by torch's kernels: one matrix product for all rows of all prompts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from rltf.policies.decoding.interfaces import Decoder, PromptCache
from rltf.policies.decoding.projections import soft_cap

_BUCKET_POSITIONS = 32
"""Prompt lengths are rounded up to multiples of this, where shapes are to be few. Prompts are most of what a step
reads, so the multiple is small."""


class Grid(NamedTuple):
    """Sizes of the layout (prompt, place) of the rows' queries before their prompts' keys."""

    prompts: int
    """P: of which keys and values are read."""
    places: int
    """Rows of a prompt at most."""
    length: int
    """S: positions that are read of each."""
    masked: bool
    """Whether some prompt in use is shorter."""


class StaticPromptCache(PromptCache):
    """The rows of a prompt are the queries of one matrix product with the prompt's keys. As prompts have different
    numbers of rows left, queries go to a grid (prompt, place) by one gather, and what comes of them goes back to the
    rows by another. The indices of both gathers stay at one place in memory.

    Args:
        decoder: gives layers, heads, width, dtype, device and the cap of scores.
        capacity: prompts at most.
        length: tokens of a prompt at most.
        rows: rows at most.
        buckets: the grid's sizes are rounded up to few different ones.
    """

    def __init__(self, decoder: Decoder, capacity: int, length: int, rows: int, buckets: bool = False) -> None:
        super().__init__(capacity)
        # At least one position, which stays masked, for prompts with nothing to share: a causal one of one token.
        self._length = max(1, length)
        shape = (decoder.layers, 2, capacity, decoder.heads, self._length, decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self._heads, self._rows, self._buckets = decoder.heads, rows, buckets
        self._score_cap = decoder.score_cap
        self._length_of_row = torch.zeros(rows, dtype=torch.long, device=decoder.device)
        self._position = torch.arange(self._length, device=decoder.device)
        self.grid = Grid(0, 1, 1, False)
        """The grid that `assign_rows` laid out last."""
        index = torch.zeros((1 + capacity) * decoder.heads * rows, dtype=torch.long, device=decoder.device)
        self._place_of_row, self._row_of_place = index[: decoder.heads * rows], index[decoder.heads * rows :]
        self._mask = torch.zeros(capacity * decoder.heads, self._length, dtype=decoder.dtype, device=decoder.device)

    @override
    def assign_rows(self, slot_A: NDArray[np.int64]) -> None:
        counts = np.bincount(slot_A, minlength=self.count)
        prompts, places = self.count, int(counts.max(initial=1))
        lengths = self._lengths[: self.count]
        length = max(1, int(lengths.max(initial=1)))
        if self._buckets:
            prompts = min(round_up_to_bucket(prompts), self.capacity)
            places = min(1 << (places - 1).bit_length(), self._rows)
            length = min(-(-length // _BUCKET_POSITIONS) * _BUCKET_POSITIONS, self._length)
        self.grid = Grid(prompts, places, length, bool((lengths < length).any()))
        order = np.argsort(slot_A, kind="stable")
        place_A = np.empty_like(slot_A)
        place_A[order] = np.arange(len(slot_A)) - np.repeat(np.cumsum(counts) - counts, counts)
        head = np.arange(self._heads)
        place_of_row = (slot_A[:, None] * self._heads + head) * places + place_A[:, None]
        # Places without a row repeat the first row's query, and what comes of it goes to no row. Rows that are not in
        # use get what the first place has.
        row_of_place = np.zeros(prompts * self._heads * places, dtype=np.int64)
        row_of_place[place_of_row] = np.arange(len(slot_A))[:, None] * self._heads + head
        self._row_of_place[: len(row_of_place)] = torch.from_numpy(row_of_place)
        self._place_of_row[: place_of_row.size] = torch.from_numpy(place_of_row.ravel())
        self._place_of_row[place_of_row.size :] = 0
        self._length_of_row[: len(slot_A)] = torch.from_numpy(lengths[slot_A])
        self._length_of_row[len(slot_A) :] = 0
        if self.grid.masked:
            beyond = torch.from_numpy(np.arange(length) >= np.repeat(lengths, self._heads)[:, None])
            self._mask[: len(beyond), :length] = beyond.to(self._mask.dtype) * mask_value(self._mask.dtype)

    def scores(self, layer: int, query: Tensor) -> Tensor:
        """Queries of rows (A*H, R, D) times keys, masked beyond each prompt's end: (P*H, places*R, S) on the grid."""
        keys = self._grid_kv(layer, 0).transpose(1, 2)
        grid_query = self.to_grid(query)
        mask = self._mask[: len(keys), None, : self.grid.length] if self.grid.masked else None
        if self._score_cap is not None:
            capped = soft_cap(torch.bmm(grid_query, keys), self._score_cap)
            return capped if mask is None else capped + mask
        return torch.bmm(grid_query, keys) if mask is None else torch.baddbmm(mask, grid_query, keys)

    def window_mask(self, column_A: Tensor, window: int) -> Tensor:
        """What is added to the scores of rows and their prompts, (A*H, 1, S), where a token sees `window` positions,
        its own included.

        Args:
            column_A: int64, tokens that each row was fed before the present one.
            window: at least 1.
        """
        unseen_A1 = (self._length_of_row[: len(column_A)] + column_A - window)[:, None]
        unseen_AS = self._position[: self.grid.length] <= unseen_A1
        mask_AS = unseen_AS.to(self._mask.dtype) * mask_value(self._mask.dtype)
        return mask_AS[:, None].expand(-1, self._heads, -1).reshape(-1, 1, self.grid.length)

    def weighted_values(self, layer: int, weights: Tensor) -> Tensor:
        """Attention weights on the grid times values: (P*H, places*R, D), on the grid."""
        return torch.bmm(weights, self._grid_kv(layer, 1))

    def to_rows(self, on_grid: Tensor, rows: int) -> Tensor:
        """From the grid (P*H, places*R, W) to the rows: (A*H, R*W)."""
        flat = on_grid.view(self.grid.prompts * self._heads * self.grid.places, -1)
        return flat.index_select(0, self._place_of_row[: rows * self._heads])

    def to_grid(self, of_rows: Tensor) -> Tensor:
        """From the rows (A*H, R, W) to the grid: (P*H, places*R, W)."""
        lines = self.grid.prompts * self._heads
        places = self._row_of_place[: lines * self.grid.places]
        return of_rows.index_select(0, places).view(lines, -1, of_rows.shape[2])

    def _grid_kv(self, layer: int, which: int) -> Tensor:
        """Keys (`which` 0) or values (1) of the grid's prompts, (P*H, S, D)."""
        return self._kv[layer, which, : self.grid.prompts, :, : self.grid.length].flatten(0, 1)

    @override
    def _write(self, slot: int, kv: Tensor) -> None:
        self._kv[:, :, slot, :, : kv.shape[3]] = kv

    @override
    def _move(self, source: int, target: int) -> None:
        self._kv[:, :, target] = self._kv[:, :, source]


def mask_value(dtype: torch.dtype) -> float:
    """What is added to a score that may not be read. Finite, so that a row with nothing to read gives no NaN."""
    return torch.finfo(dtype).min / 2


def round_up_to_bucket(count: int) -> int:
    """The next of 1 to 8, 10, 12, 14, 16, 20, 24, ...: few sizes, of which none is a quarter too large.

    Example:
        >>> [round_up_to_bucket(count) for count in (7, 9, 16, 17, 200)]
        [7, 10, 16, 20, 224]
    """
    step = 1 << max(0, (count - 1).bit_length() - 3)
    return -(-count // step) * step
