"""Attention of the present tokens of all rows to their own tokens and to their prompts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from rltf.policies.decoding.base import Decoder
from rltf.policies.decoding.prompts import Prompts


class StepShape(NamedTuple):
    """What the sizes of all tensors of a step follow from."""

    rows: int
    """A: rows that are stepped, `[:rows]`; those in use, and perhaps a few more whose results nobody reads."""
    columns: int
    """L: tokens of a row that are read at most, the present one included."""
    grid: tuple[int, ...]
    """How rows and prompts are laid out; see `Prompts.arrange`."""


class Cache(ABC):
    """What the rows being decoded attend to. All memory is taken at once.

    Args:
        decoder: of the model.
        seats: rows at most.
        columns: tokens of a row at most.
    """

    prompts: Prompts
    """The rows' prompts, each held once."""

    def __init__(self, decoder: Decoder, seats: int, columns: int) -> None:
        self.columns = columns
        self.age = torch.zeros(seats, dtype=torch.long, device=decoder.device)
        """Tokens that each row was fed before the present one, which is the column it writes now."""

    def shape(self, rows: int, columns: int) -> StepShape:
        """The shape in which a step of so many rows and columns runs."""
        return StepShape(rows, columns, ())

    @abstractmethod
    def tick(self, shape: StepShape) -> None:
        """A step begins; `age` says where its rows stand."""

    @abstractmethod
    def refresh(self, decoder: Decoder) -> None:
        """Takes in what is derived from weights that the optimiser has changed."""

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

    def begin(self, seats: Tensor) -> None:
        """New rows take these seats (int64)."""
        self.age[seats] = 0

    def vacate(self, seat: int) -> None:
        """The row in this seat has ended, but may be stepped on for a while."""
        self.age[seat] = 0

    def move(self, source: int, target: int, age: int) -> None:
        """The row in seat `source`, with keys and values of `age` tokens, takes seat `target`."""
        self.age[target] = self.age[source]


def make_cache(decoder: Decoder, seats: int, columns: int, prompts: int, length: int, buckets: bool = False) -> Cache:
    """The fastest that there is for the decoder; see `rltf.policies.decoding.static.StaticCache` for the arguments."""
    if decoder.kernels is None:
        from rltf.policies.decoding.static import StaticCache

        return StaticCache(decoder, seats, columns, prompts, length, buckets)
    from rltf.policies.decoding.compiled import CompiledCache

    return CompiledCache(decoder, decoder.kernels, seats, columns, prompts, length)
