"""What a decoder is: one family of models, run from its present weights.

Letters of shapes in this package: A rows being decoded, P prompts alive, S prompt tokens, L tokens of a row
that are read, H heads of keys and values, R query heads to each of them, D width of a head, d width of the model,
V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from rltf.policies.kernels import Kernels, kernels_for

if TYPE_CHECKING:
    from rltf.policies.decoding.attention import Cache


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
