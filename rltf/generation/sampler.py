"""The interface of samplers: requests in, samples out as they finish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from rltf.policies.base import Policy
from rltf.types import Request, Sample, Sampling


class Sampler(Protocol):
    """Draws responses from the policy's present weights, in eval mode, without gradient; the policy's training state
    and the global random state are as before afterwards."""

    def sample(self, policy: Policy, requests: Sequence[Request], sampling: Sampling, seed: int) -> Iterator[Sample]:
        """Yields each sample as it finishes, in any order. A sample depends on (seed, problem id, draw index) and the
        weights alone, whatever shares its batch."""
        ...
