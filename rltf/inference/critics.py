"""Critics of prefixes that need no training (`inference.critic`)."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from rltf.types import Program


class Doubt:
    """The policy's own doubt: a prefix is trusted most where the token that follows it was the least likely one, since
    whatever went wrong went wrong there. A whole program is trusted as its mean log-prob says.

    >>> from rltf.types import FinishReason
    >>> program = Program("p", "abc", (), (1, 2, 3), ((0, 1), (1, 2), (2, 3)), (-0.5, -0.25, -2.25), FinishReason.STOP)
    >>> Doubt()([program])
    [[0.25, 2.25, -1.0]]
    """

    def start(self, device: Any) -> None:
        """Nothing to do."""

    def __call__(self, programs: Sequence[Program]) -> list[list[float]]:
        """One number for each drawn token."""
        return [[*(-logprob for logprob in p.logprobs[1:]), fmean(p.logprobs)] if p.logprobs else [] for p in programs]
