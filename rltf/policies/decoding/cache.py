"""The own tokens of the rows being decoded, while rows come and go.

Rows share one clock: at each step every row writes column `clock`, whatever its age, so that a step writes one slice
and the distance between two columns is the same for all rows (T5's relative bias is one table). A row that starts late
has a mask over the columns before it. A row that leaves is replaced by the last one, so the rows in use are always
`[:active]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.policies.decoding.base import Decoder
from rltf.policies.decoding.blocks import BlockedKV, block_width


def barred(dtype: torch.dtype) -> float:
    """What is added to a score that may not be read. Finite, so that a row with nothing to read gives no NaN."""
    return torch.finfo(dtype).min / 2


class RowCache:
    """Keys and values of up to `seats` rows. All memory is taken at once.

    Args:
        decoder: gives layers, heads, width, dtype and device.
        seats: rows at most.
        columns: tokens of a row at most, and some room, so that live columns need not move at every step; rounded up
            to whole blocks.
    """

    def __init__(self, decoder: Decoder, seats: int, columns: int) -> None:
        width = block_width(decoder, seats, columns)
        self.columns = -(-columns // width) * width
        self.heads = decoder.heads
        self._kv = BlockedKV(decoder, seats, self.columns, width)
        self._barred = barred(decoder.dtype)
        self._mask = torch.full((seats, self.columns), self._barred, dtype=decoder.dtype, device=decoder.device)
        self._touched = 0
        self.active = 0
        """Rows in use."""
        self.clock = 0
        """The column that the present step writes."""
        self.first = 0
        """The oldest column that a row in use may read."""

    @property
    def span(self) -> tuple[int, int]:
        """The columns `[low, high)` that the present step reads; those that no row may read are masked."""
        return self._kv.span(self.first, self.clock + 1)

    @property
    def full(self) -> bool:
        """Whether the present step has no column to write to before `reserve` makes one."""
        return self.clock >= self._touched

    @property
    def mask_AL(self) -> Tensor:
        """Added to the scores of each row: 0 in its own columns, a very negative number in others."""
        low, high = self.span
        return self._mask[: self.active, low:high]

    def tick(self) -> None:
        """A step begins: rows in use may read the present column."""
        self._mask[: self.active, self.clock] = 0.0

    def write(self, layer: int, kv_A2HD: Tensor) -> None:
        """Stores the keys and values of the present step."""
        self._kv.write(layer, kv_A2HD, self.clock)

    def scores(self, layer: int, query: Tensor, bias: Tensor) -> Tensor:
        """Queries (A*H, R, D) times keys, plus the bias (A*H, 1, L), which holds the mask: (A*H, R, L)."""
        return self._kv.scores(layer, query, self.span, bias)

    def context(self, layer: int, weights: Tensor, base: Tensor | None = None) -> Tensor:
        """Weights (A*H, R, L) times values, added to `base`: (A*H, R, D)."""
        return self._kv.context(layer, weights, self.span, base)

    def begin(self, seats: Tensor) -> None:
        """New rows in `seats` (int64) start at the present column."""
        self._mask[seats] = self._barred

    def move(self, source: int, target: int) -> None:
        """The row in seat `source` takes seat `target`."""
        self._kv.move(source, target, self._kv.span(self.first, self.clock))
        self._mask[target] = self._mask[source]

    def reserve(self, first: int, room: int) -> int:
        """Makes place for `room` columns from the clock on; nothing before column `first` is needed any more.

        Columns are touched by twice what is live, not all at once: memory that is never used is never paged in.

        Returns:
            By how many columns everything moved to the left.
        """
        self.first = first
        low, high = self._kv.span(first, self.clock)
        live = self.clock - low
        self._touched = max(self._touched, min(self.columns, 2 * (live + room)))
        if self.clock + room <= self._touched:
            return 0
        self._kv.shift(self.active, (low, high))
        self._mask[:, :live] = self._mask[:, low : self.clock].clone()
        self._mask[:, live:] = self._barred
        self.first, self.clock = first - low, live
        return low
