"""What a decoder is: one family of models, run from its present weights.

Letters of shapes in this package: A rows being decoded, P prompts alive, S prompt tokens, L tokens of a row
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
    """Prompts that were run once: what all programs of a prompt share."""

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
    prefix_in_prompt: bool
    """True: a given start of the response is run with the prompt. False: it is fed to the rows token by token."""

    def __init__(self, model: Any, compiled: bool) -> None:
        self.model = model
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype
        self.kernels: Kernels | None = kernels_for(model) if compiled else None
        """None: torch's own."""

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
        """(H, columns) what is added to the scores of a row's own tokens; the last column is the row's present token,
        the one before it is at distance 1. None: nothing is."""
        return None

    @abstractmethod
    def step(self, token_A: Tensor, position_A: Tensor, cache: Cache) -> Tensor:
        """Feeds one token to each row; writes its keys and values into the cache.

        Args:
            token_A: int64, the last token of each row.
            position_A: int64, where it stands.
            cache: of the rows and their prompts.

        Returns:
            (A, V) logits of the next token, in the model's dtype.
        """


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
