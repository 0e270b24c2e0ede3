"""The interface of samplers: requests in, samples out as they finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from rltf.policies.base import Policy
from rltf.types import Request, Sample, Sampling


class Sampler(Protocol):
    """Draws responses from the policy's present weights, in eval mode, without gradient; the policy's training state
    and the global random state are as before afterwards."""

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it finishes, in any order. A sample depends on (seed, problem id, draw index) and the
        weights alone, whatever shares its batch."""
        ...


@runtime_checkable
class WeightHolder(Protocol):
    """A sampler that draws from a copy of the weights, which may be older than the policy's."""

    def refresh(self, policy: Policy, version: int) -> int:
        """Renews the copy where it is older than allowed, before the next call of `sample`.

        Args:
            policy: the policy that is sampled.
            version: optimiser steps behind its weights; 0: they are to be drawn from exactly.

        Returns:
            Optimiser steps behind the weights that are drawn from.
        """
        ...
