"""What one decode step needs: a decoder (one family of models, run from its present weights) and a cache of keys and
values.

Letters of shapes in this package: A rows being decoded, P prompts in the cache, S prompt tokens, L tokens of a row
that are read, H heads of keys and values, R query heads to each of them, D width of a head, d width of the model,
V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rltf.policies.kernels import Kernels, kernels_for


@dataclass(frozen=True, slots=True)
class PromptStates:
    """Keys and values of prompts, and the first input of their rows: what all programs of a prompt share."""

    kv: Tensor
    """(layers, 2, P, H, S, D): keys and values, of the encoder's output (cross-attention) or of the prompt itself."""
    mask_PS: Tensor
    """bool, True where `kv` holds a token that may be read."""
    start_P: Tensor
    """int64: the token a row begins with, the decoder's start token or the prompt's last one."""
    position_P: Tensor
    """int64: the position of that token."""


class Decoder(ABC):
    """One family's decode step. Reads the weights in place; small derived tensors (joined projections, tables of
    positions) are made anew for each decoder, so a decoder is made for each call of the sampler and sees the weights
    the optimiser has just written."""

    layers: int
    heads: int
    """H: heads of keys and values."""
    group: int = 1
    """R: query heads to each head of keys and values."""
    head_dim: int
    windows: tuple[int | None, ...] = ()
    """Positions that a token sees in each layer, its own included; None: all. Empty: all in every layer."""
    score_cap: float | None = None
    """Attention scores s become cap * tanh(s / cap), before any bias; None: they stay."""
    prefix_in_prompt: bool
    """True: the prefix of a response is run with the prompt. False: it is fed to the rows token by token."""

    def __init__(self, model: Any, compiled: bool) -> None:
        self.model = model
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.kernels: Kernels | None = kernels_for(model) if compiled else None
        """Compiled kernels; None: torch's."""

    @classmethod
    @abstractmethod
    def fits(cls, model: Any) -> bool:
        """Whether this decoder computes what `model` does."""

    @abstractmethod
    def prefill(self, prompt_PS: Tensor, mask_PS: Tensor) -> PromptStates:
        """Runs prompts, padded on either side.

        Args:
            prompt_PS: int64 token ids.
            mask_PS: bool, True at real tokens; at least one in a row.
        """

    def distance_bias(self, columns: int) -> Tensor | None:
        """(H, columns), added to the scores of a row's own tokens: the last column is for the row's present token, the
        one before it for distance 1; (layers, H, columns) where each layer has its own. None where the family has no
        such bias."""
        return None

    @abstractmethod
    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        """Feeds one token to each row; writes its keys and values into the cache.

        Args:
            token_A: int64, the last token of each row.
            position_A: int64, its position.
            cache: of the rows and their prompts.

        Returns:
            (A, V) logits of the next token, in the model's dtype.
        """


class StepShape(NamedTuple):
    """Sizes of a step; those of all its tensors follow from them."""

    rows: int
    """A: rows that are stepped, `[:rows]`; those in use, and perhaps a few more whose logits are not read."""
    columns: int
    """L: tokens of a row that are read at most, the present one included."""
    grid: tuple[int, ...]
    """How rows and prompts are laid out; see `PromptCache.assign_rows`."""


class Cache(ABC):
    """Keys and values of the rows being decoded and of their prompts. All memory is taken at once.

    Args:
        decoder: of the model.
        rows: rows at most.
        columns: tokens of a row at most.
    """

    prompts: PromptCache
    """Keys and values of the prompts, each held once for all its rows."""

    def __init__(self, decoder: Decoder, rows: int, columns: int) -> None:
        self.columns = columns
        self.column = torch.zeros(rows, dtype=torch.long, device=decoder.device)
        """int64: the column that each row writes in this step, which is the number of tokens it was fed before."""

    def shape(self, rows: int, columns: int) -> StepShape:
        """The shape in which a step of so many rows and columns runs."""
        return StepShape(rows, columns, ())

    @abstractmethod
    def begin_step(self, shape: StepShape) -> None:
        """Prepares what the layers of a step share, from the present `column` of each row."""

    @abstractmethod
    def update_distance_bias(self, decoder: Decoder) -> None:
        """Copies the decoder's bias of distances, after the optimiser has changed it."""

    @abstractmethod
    def self_attention(self, layer: int, qkv: Tensor) -> Tensor:
        """Attention to the row's own tokens, with the decoder's bias of distances.

        Args:
            layer: index of the layer.
            qkv: (A, H*R + 2*H, D): scaled queries, then the keys and values of the present token, which are stored
                first.

        Returns:
            (A, H*R*D), which the next call may overwrite.
        """

    @abstractmethod
    def prompt_attention(self, layer: int, query: Tensor) -> Tensor:
        """Attention to the prompt alone: queries (A, H*R, D) to (A, H*R*D), which the next call may overwrite."""

    @abstractmethod
    def joint_attention(self, layer: int, qkv: Tensor) -> Tensor:
        """One softmax over the prompt's tokens and the row's own, without bias; see `self_attention`."""

    def admit_rows(self, row_indices: Tensor) -> None:
        """Starts new rows at these indices (int64)."""
        self.column[row_indices] = 0

    def release_row(self, row_index: int) -> None:
        """Marks a row as ended; it may be stepped on for a while."""
        self.column[row_index] = 0

    def move_row(self, source: int, target: int, length: int) -> None:
        """Moves the row at index `source`, with keys and values of `length` tokens, to index `target`."""
        self.column[target] = self.column[source]


class PromptCache(ABC):
    """Keys and values of prompts, in slots: those in use are `[:count]`.

    Args:
        capacity: prompts at most.
    """

    def __init__(self, capacity: int) -> None:
        self._lengths = np.zeros(capacity, dtype=np.int64)
        self.capacity = capacity
        self.count = 0
        """Prompts in use."""

    def add(self, states: PromptStates, index: int) -> int:
        """Copies prompt `index` of `states`, without its padding, to a free slot; returns that slot."""
        slot = self.count
        real = states.mask_PS[index].nonzero()[:, 0]
        self._lengths[slot] = len(real)
        self._write(slot, states.kv[:, :, index].index_select(3, real))
        self.count += 1
        return slot

    def remove(self, slot: int) -> int:
        """Frees a slot, to which the prompt of the last slot then moves. Returns the last slot."""
        last = self.count - 1
        if slot != last:
            self._move(last, slot)
            self._lengths[slot] = self._lengths[last]
        self.count = last
        return last

    def clear(self) -> None:
        """Frees all slots."""
        self.count = 0

    @abstractmethod
    def assign_rows(self, slot_A: NDArray[np.int64]) -> None:
        """Sets which prompt each row reads; called whenever rows or prompts have changed."""

    @abstractmethod
    def _write(self, slot: int, kv: Tensor) -> None:
        """Stores keys and values (layers, 2, H, S, D) in a slot."""

    @abstractmethod
    def _move(self, source: int, target: int) -> None:
        """Copies slot `source` to slot `target`."""
