"""Options of `auxiliary=atc`; the layers are made once the policy is there (`rltf.contrast.auxiliary`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rltf.contrast.options import ContrastOptions
from rltf.validation import require

if TYPE_CHECKING:
    from rltf.benchmarks.base import Benchmark
    from rltf.contrast.auxiliary import ContrastAuxiliary
    from rltf.policies.base import Policy


@dataclass(frozen=True, kw_only=True)
class AuxiliaryContrast(ContrastOptions):
    """Keys of the contrast beside RL.

    Raises:
        OptionError: one of them is out of range.
    """

    weight: float = 0.1
    """Of its loss, a mean over anchors, beside that of RL."""
    lr: float = 1e-3
    """Peak learning rate of the layers on top of the policy."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require("weight", self.weight, above=0)
        require("lr", self.lr, above=0)

    def bind(self, policy: Policy, benchmark: Benchmark) -> ContrastAuxiliary:
        """The loss for a run's policy and benchmark."""
        from rltf.contrast.auxiliary import ContrastAuxiliary  # imports torch

        return ContrastAuxiliary(policy, benchmark, self, self.weight, self.lr)
