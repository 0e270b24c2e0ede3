"""What one training step gets, and the sized stream that hands it out.

The stream has a length: without one Lightning fetches a batch ahead, from weights one step old."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch.utils.data import IterableDataset

from rltf.types import RolloutBatch


@dataclass(frozen=True, slots=True)
class TrainBatch:
    """One micro-batch of one optimiser step."""

    batches: Mapping[str, RolloutBatch]
    """Loss term (`supervised`, `rl`) -> what it reads."""
    divisors: Mapping[str, float]
    """Loss term -> what its total is divided by (see `rltf.algorithms.loss_mix`)."""

    def to(self, device: Any, **_: Any) -> TrainBatch:
        """The same batch on another device."""
        return TrainBatch({name: batch.to(device) for name, batch in self.batches.items()}, self.divisors)

    @property
    def tokens(self) -> int:
        """Of prompts and responses, padding included."""
        return sum(part.prompt_BS.numel() + part.response_BT.numel() for part in self.batches.values())

    @property
    def longest(self) -> int:
        """Tokens of the longest row, its prompt included."""
        return max(int((b.prompt_mask_BS.sum(1) + b.read_BT.sum(1)).amax()) for b in self.batches.values())

    def pieces(self, count: int) -> list[TrainBatch]:
        """Micro-batches whose losses add up to this one's: each term apart, in up to `count` parts; itself for 1."""
        if count == 1:
            return [self]
        return [
            TrainBatch({name: part}, self.divisors)
            for name, batch in self.batches.items()
            for part in _rows(batch, min(count, len(batch.mask_BT)))
        ]


def _rows(batch: RolloutBatch, count: int) -> list[RolloutBatch]:
    columns = [getattr(batch, field.name).tensor_split(count) for field in dataclasses.fields(batch)]
    return [RolloutBatch(*parts) for parts in zip(*columns, strict=True)]


class Stream(IterableDataset[Any]):
    """`length` items, made anew by `items()` at the start of each epoch."""

    def __init__(self, length: int, items: Callable[[], Iterator[Any] | Sequence[Any]]) -> None:
        self.length, self.items = length, items

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Any]:
        yielded = 0
        for item in self.items():
            yielded += 1
            yield item
        if yielded != self.length:  # Lightning would end the epoch early and say nothing
            raise RuntimeError(f"the stream promised {self.length} batches and gave {yielded}")
