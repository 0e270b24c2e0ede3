"""What `job=atc` and `auxiliary=atc` have in common: the keys of the contrast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from rltf.validation import require

Negatives = Literal["batch", "other_programs"]


@dataclass(frozen=True, kw_only=True)
class ContrastOptions:
    """Keys of the contrast.

    Raises:
        OptionError: one of them is out of range.
    """

    k: int = 1
    """Lines of code from an anchor to its positive; 0: a line end and the same one, augmented."""
    latent: int = 128
    """Width of the codes that are compared."""
    hidden: int = 512
    """Width of the ReLU layer that predicts."""
    tau: float = 0.01
    """Share of the way that the momentum copy follows in an optimiser step."""
    prompt: bool = False
    """The network reads the prompt, too; False: one constant token in its place."""
    shift: int = 4
    """Tokens at most that are dropped from a positive's start."""
    mask: float = 0.1
    """Share of a positive's tokens that become unknown."""
    rename: float = 0.5
    """Share of the positives whose local names are others."""
    negatives: Negatives = "batch"
    """What an anchor is compared with: all line ends of the batch, or those of other programs (and the positive)."""
    rows: int = 64
    """Programs of a batch."""

    def __post_init__(self) -> None:
        require("k", self.k, at_least=0, whole=True)
        require("latent", self.latent, at_least=1, whole=True)
        require("hidden", self.hidden, at_least=1, whole=True)
        require("tau", self.tau, above=0, at_most=1)
        require("prompt", self.prompt, choices=(True, False))
        require("shift", self.shift, at_least=0, whole=True)
        require("mask", self.mask, at_least=0, below=1)
        require("rename", self.rename, at_least=0, at_most=1)
        require("negatives", self.negatives, choices=get_args(Negatives))
        require("rows", self.rows, at_least=2, whole=True)
