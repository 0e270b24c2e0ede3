"""The own tokens of the rows being decoded, while rows come and go.

Rows share one clock: at each step every row writes column `clock`, whatever its age, so that a step writes one slice
and the distance between two columns is the same for all rows (T5's relative bias is one table). A row that leaves is
replaced by the last one, so the rows in use are always `[:active]`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rltf.policies.decoding.base import Decoder


def barred(dtype: torch.dtype) -> float:
    """What is added to a score that may not be read. Finite, so that a row with nothing to read gives no NaN."""
    return torch.finfo(dtype).min / 2


class Rows:
    """The clock, and which columns are live.

    Args:
        columns: tokens of a row at most, and some room, so that live columns need not move at every step.
    """

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._touched = 0
        self.active = 0
        """Rows in use."""
        self.clock = 0
        """The column that the present step writes."""
        self.first = 0
        """The oldest column that a row in use may read."""

    @property
    def full(self) -> bool:
        """Whether the present step has no column to write to before `reserve` makes one."""
        return self.clock >= self._touched

    def tick(self) -> None:
        """A step begins."""

    def begin(self, seats: Tensor) -> None:
        """New rows in `seats` (int64) start at the present column."""
        raise NotImplementedError

    def vacate(self, seat: int) -> None:
        """The row in this seat has ended, but may be stepped on for a while."""

    def move(self, source: int, target: int) -> None:
        """The row in seat `source` takes seat `target`."""
        raise NotImplementedError

    def reserve(self, first: int, room: int) -> int:
        """Makes place for `room` columns from the clock on; nothing before column `first` is needed any more.

        Columns are touched by twice what is live, not all at once: memory that is never used is never paged in.

        Returns:
            By how many columns everything moved to the left.
        """
        self.first = first
        live = self.clock - first
        self._touched = max(self._touched, min(self.columns, 2 * (live + room)))
        if self.clock + room <= self._touched:
            return 0
        self._shift(first)
        self.first, self.clock = 0, live
        return first

    def _shift(self, first: int) -> None:
        raise NotImplementedError


class RowCache(Rows):
    """Keys and values in tensors that all rows share, with a mask over the columns before a row's start.

    Args:
        decoder: gives layers, heads, width, dtype and device.
        seats: rows at most.
        columns: see `Rows`.
    """

    def __init__(self, decoder: Decoder, seats: int, columns: int) -> None:
        super().__init__(columns)
        shape = (decoder.layers, 2, seats, decoder.heads, columns, decoder.head_dim)
        self._kv = torch.zeros(shape, dtype=decoder.dtype, device=decoder.device)
        self._barred = barred(decoder.dtype)
        self._mask = torch.full((seats, columns), self._barred, dtype=decoder.dtype, device=decoder.device)

    @property
    def span(self) -> tuple[int, int]:
        """The columns `[low, high)` that the present step reads; those that a row may not read are masked."""
        return self.first, self.clock + 1

    @property
    def mask_AL(self) -> Tensor:
        """Added to the scores of each row: 0 in its own columns, a very negative number in others."""
        low, high = self.span
        return self._mask[: self.active, low:high]

    def tick(self) -> None:
        """Rows in use may read the present column."""
        self._mask[: self.active, self.clock] = 0.0

    def write(self, layer: int, kv_A2HD: Tensor) -> None:
        """Stores the keys and values of the present step."""
        self._kv[layer, :, : self.active, :, self.clock] = kv_A2HD.transpose(0, 1)

    def read(self, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values that the present step reads: (A*H, L, D) each."""
        low, high = self.span
        keys, values = self._kv[layer, :, : self.active, :, low:high].flatten(1, 2).unbind(0)
        return keys, values

    def begin(self, seats: Tensor) -> None:
        """See `Rows.begin`."""
        self._mask[seats] = self._barred

    def move(self, source: int, target: int) -> None:
        """See `Rows.move`."""
        self._kv[:, :, target, :, self.first : self.clock] = self._kv[:, :, source, :, self.first : self.clock]
        self._mask[target] = self._mask[source]

    def _shift(self, first: int) -> None:
        live = self.clock - first
        for layer in self._kv:
            layer[:, : self.active, :, :live] = layer[:, : self.active, :, first : self.clock].clone()
        self._mask[:, :live] = self._mask[:, first : self.clock].clone()
        self._mask[:, live:] = self._barred
