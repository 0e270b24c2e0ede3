"""Options of the discriminator (`reward.terms.grounding.discriminator`); the network itself is made once the policy is
there (`rltf.grounding.comparison`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rltf.runs.files import GROUNDING_FILE
from rltf.validation import OptionError, require

if TYPE_CHECKING:
    from rltf.benchmarks.base import Benchmark
    from rltf.grounding.comparison import ProgramComparison
    from rltf.policies.base import Policy


@dataclass(frozen=True)
class Discriminator:
    """What compares a program with a reference.

    Args:
        hidden: width of the head's ReLU layer; 0: the head is linear.
        lr: learning rate of AdamW.
        passes: passes over the pairs of each iteration; below 1: over a share of them, chosen anew each time.
        batch_size: pairs per optimiser step and process.
        model: another model whose copy is the body, a node of `configs/model`; None: the policy as RL begins.
        weights: `grounding.pt` of another run; None: the head begins at zero.
        normalise: texts are compared without layout and comments, as `ast.unparse` writes them.

    Raises:
        OptionError: an option is out of range, or there is no such file.
    """

    hidden: int = 128
    lr: float = 2e-5
    passes: float = 0.5
    batch_size: int = 16
    model: Any = None
    weights: str | None = None
    normalise: bool = True

    def __post_init__(self) -> None:
        require("hidden", self.hidden, at_least=0, whole=True)
        require("lr", self.lr, above=0)
        require("passes", self.passes, above=0)
        require("batch_size", self.batch_size, at_least=1, whole=True)
        require("normalise", self.normalise, choices=(True, False))
        if self.weights is not None and not Path(self.weights).expanduser().is_file():
            raise OptionError("weights", self.weights, f"the file {GROUNDING_FILE} of a run, or null")

    def comparison(self, policy: Policy, benchmark: Benchmark) -> ProgramComparison:
        """The network for a run's policy and benchmark."""
        from rltf.grounding.comparison import ProgramComparison  # imports torch

        return ProgramComparison(
            self.model or policy,
            benchmark,
            self.hidden,
            self.lr,
            self.passes,
            self.batch_size,
            self.weights,
            self.normalise,
        )
