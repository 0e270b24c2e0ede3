"""Micro-batches of training, and the sized stream that yields them.

The stream has a length: without one Lightning fetches a batch ahead, from weights one step old."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import IterableDataset

from rltf.training.auxiliary import AuxiliaryBatch
from rltf.types import RolloutBatch


@dataclass(frozen=True, slots=True)
class TrainBatch:
    """One micro-batch of one optimiser step."""

    batches: Mapping[str, RolloutBatch]
    """Loss term (`supervised`, `rl`) -> its rows."""
    divisors: Mapping[str, float]
    """Loss term -> the number that its sum is divided by (see `rltf.algorithms.loss_mix`)."""
    auxiliary: AuxiliaryBatch | None = None
    """What an auxiliary loss reads; None: there is none."""

    def to(self, device: Any, **_: Any) -> TrainBatch:
        """The same batch on another device."""
        batches = {name: batch.to(device) for name, batch in self.batches.items()}
        return TrainBatch(batches, self.divisors, self.auxiliary and self.auxiliary.to(device))

    @property
    def tokens(self) -> int:
        """Number of tokens of prompts and responses, padding included."""
        of_terms = sum(part.prompt_BS.numel() + part.response_BT.numel() for part in self.batches.values())
        return of_terms + (self.auxiliary.tokens if self.auxiliary is not None else 0)

    @property
    def longest_row_tokens(self) -> int:
        """Number of tokens of the longest row, its prompt included."""
        return max(int((b.prompt_mask_BS.sum(1) + b.response_mask_BT.sum(1)).amax()) for b in self.batches.values())

    def split(self, pieces: int) -> list[TrainBatch]:
        """Micro-batches whose losses add up to this one's.

        Args:
            pieces: of each loss term, at most one per row; 1: the batch itself, with all terms in one. What an
                auxiliary loss reads is a piece of its own, and whole.
        """
        if pieces == 1:
            return [self]
        of_terms = [
            TrainBatch({name: piece}, self.divisors)
            for name, batch in self.batches.items()
            for piece in _split_rows(batch, min(pieces, len(batch.mask_BT)))
        ]
        return of_terms if self.auxiliary is None else [*of_terms, TrainBatch({}, self.divisors, self.auxiliary)]


def weighted_rows(batch: RolloutBatch) -> RolloutBatch:
    """The rows that have a token whose weight is not 0; the first row where there is none, since a forward pass may be
    one of several processes together."""
    weighs_B = (batch.weight_BT * batch.mask_BT).ne(0).any(dim=1)
    rows = weighs_B.nonzero().flatten() if bool(weighs_B.any()) else torch.zeros(1, dtype=torch.int64)
    return RolloutBatch(*(getattr(batch, field.name)[rows] for field in dataclasses.fields(batch)))


def _split_rows(batch: RolloutBatch, pieces: int) -> list[RolloutBatch]:
    fields = [getattr(batch, field.name).tensor_split(pieces) for field in dataclasses.fields(batch)]
    return [RolloutBatch(*tensors) for tensors in zip(*fields, strict=True)]


class Stream(IterableDataset[Any]):
    """A data set of known length whose elements are made while it is read.

    Args:
        length: number of elements.
        make_iterator: called at the start of each epoch.
    """

    def __init__(self, length: int, make_iterator: Callable[[], Iterator[Any] | Sequence[Any]]) -> None:
        self.length, self.make_iterator = length, make_iterator

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        count = 0
        for element in self.make_iterator():
            count += 1
            yield element
        if count != self.length:  # Lightning would end the epoch early and say nothing
            raise RuntimeError(f"the stream promised {self.length} batches and gave {count}")
